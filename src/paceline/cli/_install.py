"""Is Paceline installed as it must be? Python, torch, what goes with it, extras."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["ok", "warning", "problem"]
Version = Callable[[str], str]
Ask = Callable[[str], tuple[bool, str]]

OLDEST_PYTHON = (3, 11)
OLDEST_TORCH = (2, 6)
ASK_SECONDS = 60.0
COMPANIONS = ("torchvision", "torchaudio")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "images": ("pillow",),
    "tables": ("pandas", "pyarrow", "tabm", "rtdl_num_embeddings"),
    "sklearn": ("scikit-learn",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What the doctor found.

    Attributes:
        name: What was looked at.
        level: ``ok``, ``warning`` (works, but worse than it could) or ``problem``.
        found: What is the case.
        mend: What to do; empty where all is well.
    """

    name: str
    level: Level
    found: str
    mend: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Torch:
    """What an installed torch says of itself.

    Attributes:
        version: With its build, as in ``2.13.0+cpu``; empty where torch is missing.
        trouble: Why it cannot be imported; empty where it can.
        facts: ``cuda`` (CUDA version of the build), ``cuda_works``, ``mps``, ``threads``.
    """

    version: str = ""
    trouble: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


_QUESTION = """
import torch
print("cuda", torch.version.cuda or "")
print("hip", getattr(torch.version, "hip", None) or "")
print("cuda_works", torch.cuda.is_available())
print("mps", torch.backends.mps.is_available())
print("threads", torch.get_num_threads())
"""


def ask(code: str, seconds: float = ASK_SECONDS) -> tuple[bool, str]:
    """Runs code in another interpreter: whether it went well, and what it said.

    An import that crashes or hangs takes only that interpreter with it.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {seconds:g} s"
    except OSError as error:
        return False, f"cannot start {sys.executable}: {error.strerror}"
    if done.returncode == 0:
        return True, done.stdout
    lines = (done.stderr or done.stdout).strip().splitlines()
    return False, lines[-1] if lines else f"the interpreter ended with {done.returncode}"


def look_at_torch(version: Version = importlib.metadata.version, question: Ask = ask) -> Torch:
    """Which torch there is, and whether it can be imported."""
    try:
        installed = version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Torch()
    worked, said = question(_QUESTION)
    if not worked:
        return Torch(version=installed, trouble=said)
    pairs = (line.partition(" ") for line in said.splitlines())
    return Torch(version=installed, facts={name: value for name, _, value in pairs})


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """Python is new enough."""
    found = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        mend = "install Python 3.11 or newer and make the environment anew with it"
        return Finding(name="python", level="problem", found=found, mend=mend)
    return Finding(name="python", level="ok", found=found)


def check_torch(torch: Torch) -> Finding:
    """Torch is there, new enough, and can be imported."""
    mend = 'pip install "torch>=2.6"'
    if not torch.version:
        return Finding(name="torch", level="problem", found="not installed", mend=mend)
    if _parts(torch.version) < OLDEST_TORCH:
        found = f"{torch.version} is too old"
        return Finding(name="torch", level="problem", found=found, mend=mend)
    if torch.trouble:
        found = f"{torch.version} cannot be imported: {torch.trouble}"
        mend = "pip install --force-reinstall torch"
        return Finding(name="torch", level="problem", found=found, mend=mend)
    return Finding(name="torch", level="ok", found=torch.version)


def check_companion(
    name: str, torch: Torch, version: Version = importlib.metadata.version, question: Ask = ask
) -> Finding:
    """A torchvision or torchaudio, if there is one, was built for this torch."""
    try:
        installed = version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name=name, level="ok", found="not installed; Paceline does not need it")
    if not torch.version or torch.trouble:
        found = f"{installed}; cannot be checked without a working torch"
        return Finding(name=name, level="warning", found=found, mend="mend torch first")
    worked, said = question(f"import {name}")
    if not worked:
        found = f"{installed} does not match torch {torch.version}: {said}"
        mend = f"pip install --upgrade torch {name}, both from one index; or pip uninstall {name}"
        return Finding(name=name, level="problem", found=found, mend=mend)
    return Finding(name=name, level="ok", found=installed)


def check_extra(
    extra: str, packages: tuple[str, ...], version: Version = importlib.metadata.version
) -> Finding:
    """The packages of an extra are there."""
    missing = []
    for package in packages:
        try:
            version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    name = f"extra {extra}"
    if missing:
        found = f"missing: {', '.join(missing)}"
        mend = f'pip install "paceline[{extra}]"'
        return Finding(name=name, level="warning", found=found, mend=mend)
    return Finding(name=name, level="ok", found=", ".join(packages))


def _parts(version: str) -> tuple[int, ...]:
    numbers = version.partition("+")[0].split(".")[:2]
    return tuple(int(number) if number.isdigit() else 0 for number in numbers)
