"""Is the machine as it should be? Accelerator, cores, disk."""

from __future__ import annotations

import math
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from paceline.cli._install import Finding, Torch

LEAST_FREE_BYTES = 200 * 2**20
LITTLE_FREE_BYTES = 2 * 2**30
_GPU_SIGNS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/nvidiactl"))
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_SELECTOR = "https://pytorch.org/get-started/locally"


def has_nvidia(signs: tuple[Path, ...] = _GPU_SIGNS) -> bool:
    """Whether there is an NVIDIA GPU, as far as the system says."""
    return shutil.which("nvidia-smi") is not None or any(sign.exists() for sign in signs)


def check_gpu(torch: Torch, nvidia: bool) -> Finding:
    """A GPU, where there is one, can be used by this torch."""
    if torch.trouble or not torch.version:
        return Finding(name="gpu", level="ok", found="not looked at: there is no working torch")
    if torch.facts.get("cuda_works") == "True":
        return Finding(name="gpu", level="ok", found=f"CUDA {torch.facts.get('cuda', '')}".strip())
    if torch.facts.get("mps") == "True":
        return Finding(name="gpu", level="ok", found="Apple GPU through MPS")
    built_for_gpu = torch.facts.get("cuda") or torch.facts.get("hip")
    if nvidia and not built_for_gpu:
        found = f"there is an NVIDIA GPU, but torch {torch.version} is built for the CPU"
        mend = f"install a CUDA build of torch: {_SELECTOR}"
        return Finding(name="gpu", level="warning", found=found, mend=mend)
    if nvidia:
        found = f"torch is built for CUDA {built_for_gpu}, but the driver cannot be used"
        mend = "run nvidia-smi; update the driver, or install a torch for its CUDA version"
        return Finding(name="gpu", level="problem", found=found, mend=mend)
    return Finding(name="gpu", level="ok", found="none; the CPU is used")


def check_cores(
    torch: Torch, available: int | None = None, quota: Path = Path("/sys/fs/cgroup/cpu.max")
) -> Finding:
    """Torch starts no more threads than the machine or its container lends cores."""
    cores = float(available or _available_cores())
    limit = _limit(quota)
    lent = min(cores, limit)
    text = torch.facts.get("threads", "")
    threads = int(text) if text.isdigit() else None
    found = f"{cores:g} cores" + (f", limited to {limit:g}" if limit < cores else "")
    if threads is not None:
        found += f", {threads} torch threads"
    if threads is not None and threads > math.ceil(lent):
        mend = f"export OMP_NUM_THREADS={math.ceil(lent)}"
        return Finding(name="cores", level="warning", found=found, mend=mend)
    return Finding(name="cores", level="ok", found=found)


def check_bf16(cpuinfo: Path = Path("/proc/cpuinfo"), machine: str = platform.machine()) -> Finding:
    """Which precision suits the CPU; told, since both work."""
    try:
        words = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return Finding(name="bf16", level="ok", found=f"not known for this {machine} CPU")
    if words & _BF16_FLAGS:
        return Finding(name="bf16", level="ok", found="the CPU has bf16 instructions")
    found = "the CPU has no bf16 instructions; fp32 is chosen there"
    return Finding(name="bf16", level="ok", found=found)


def check_writable(name: str, folder: Path) -> Finding:
    """Files can be made in a folder."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".paceline-") as file:
            file.write(b"ok")
            file.flush()
    except OSError as error:
        found = f"cannot write in {folder}: {error.strerror or error}"
        mend = "set TMPDIR to a folder that can be written" if name == "temporary folder" else ""
        mend = mend or "go to a folder that can be written, or give fit another --out"
        return Finding(name=name, level="problem", found=found, mend=mend)
    return Finding(name=name, level="ok", found=f"{folder} can be written")


def check_space(name: str, folder: Path, free: Callable[[Path], int] | None = None) -> Finding:
    """There is room for checkpoints."""
    try:
        left = (free or _free_bytes)(folder)
    except OSError as error:
        found = f"cannot tell for {folder}: {error.strerror or error}"
        return Finding(name=name, level="warning", found=found, mend="look with df")
    found = f"{left / 2**30:.1f} GiB free at {folder}"
    if left < LEAST_FREE_BYTES:
        mend = "free some space, or give fit an --out on another disk"
        return Finding(name=name, level="problem", found=found, mend=mend)
    if left < LITTLE_FREE_BYTES:
        mend = "large models may not fit; free some space"
        return Finding(name=name, level="warning", found=found, mend=mend)
    return Finding(name=name, level="ok", found=found)


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _limit(quota: Path) -> float:
    """Cores that a container lends by cgroup v2: the quota over its period."""
    try:
        most, _, period = quota.read_text(encoding="ascii").strip().partition(" ")
        return math.inf if most == "max" else int(most) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
