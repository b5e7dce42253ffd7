#!/usr/bin/env python3
"""Sets Paceline up and then runs, tests or checks it. Needs Python 3.11 with pip, nothing else.

    python3 dev.py demo            train on handwritten digits and explain the result
    python3 dev.py test            the whole suite

What .venv holds is made again whenever it is out of date, moved, broken or half made.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 # people start it with whatever python3 they have
    raise SystemExit(
        f"error: Paceline needs Python 3.11 or newer; this is {sys.version.split()[0]}"
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BOOTSTRAP = VENV / ".bootstrap"
STAMP = VENV / ".paceline-setup.json"
CONSTRAINTS = ROOT / "constraints.txt"
WINDOWS = os.name == "nt"
BIN = VENV / ("Scripts" if WINDOWS else "bin")
PYTHON = BIN / ("python.exe" if WINDOWS else "python")
# An activated .venv has no pip of its own: the Python that it was made from has.
HOST = getattr(sys, "_base_executable", "") if Path(sys.prefix) == VENV else sys.executable

Command = Sequence[str | Path]
# A person's own settings may forbid installing outside an environment, or want --user.
PIP_ENVIRONMENT = {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}


class Failure(Exception):
    """What stopped the set-up, as one line for a person."""


def say(line: str) -> None:
    print(f"dev.py: {line}", file=sys.stderr, flush=True)


def step(what: str, command: Command, extra_env: Mapping[str, str] | None = None) -> None:
    """Runs a program, said in one line; prints the tail of its output if it fails."""
    print(f"dev.py: {what} …", end="", file=sys.stderr, flush=True)
    began, environment = time.monotonic(), {**os.environ, **(extra_env or {})}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        code, output = done.returncode, (done.stdout + done.stderr).decode(errors="replace")
    except OSError as error:
        code, output = 127, str(error)
    print(f" {time.monotonic() - began:.1f} s", file=sys.stderr)
    if code:
        tail = output.strip().splitlines()[-8:] or ["(it printed nothing)"]
        print("\n".join(f"    {line}" for line in tail), file=sys.stderr)
        raise Failure(f"{what} failed (exit code {code}): {tail[-1].strip()}")


def first_that_works(*attempts: Callable[[], None]) -> None:
    """Tries one way after the other; fails as the last one does."""
    for attempt in attempts[:-1]:
        try:
            return attempt()
        except Failure as failure:
            say(f"{failure}; trying another way")
    return attempts[-1]()


def works(command: Command) -> bool:
    """Whether a program runs and succeeds."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def pip_settings() -> dict[str, list[str]]:
    """What pip has been told, as lists of words; uv reads neither PIP_* nor pip.conf."""
    command = [HOST, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found: dict[str, list[str]] = {}
    for section in ("global.", "install.", ":env:."):  # the stronger last
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(section):
                found[key.removeprefix(section)] = str(ast.literal_eval(value)).split()
    return found


def uv_options(pip: Mapping[str, list[str]]) -> list[str]:
    """pip's sources of packages, as options of ``uv pip install``."""
    links = (link for link in pip.get("find-links", []) if "://" in link or Path(link).exists())
    options = [f"--find-links={link}" for link in links]
    options += [f"--default-index={url}" for url in pip.get("index-url", [])]
    options += [f"--index={url}" for url in pip.get("extra-index-url", [])]
    options += [f"--allow-insecure-host={host}" for host in pip.get("trusted-host", [])]
    if pip.get("extra-index-url"):
        options.append("--index-strategy=unsafe-best-match")  # pip, too, looks through them all
    if "".join(pip.get("no-index", [])).lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    return options


def uv_environment(pip: Mapping[str, list[str]]) -> dict[str, str]:
    """pip's certificates, proxy and patience, and a cache where HOME cannot hold one."""
    names = {"cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY", "default-timeout": "UV_HTTP_TIMEOUT"}
    told = {mine: pip[key][0] for key, mine in names.items() if pip.get(key)}
    home = os.environ.get("HOME") or os.environ.get("USERPROFILE")
    if not home or not os.access(home, os.W_OK):
        told["UV_CACHE_DIR"] = str(VENV / ".cache")
    return {name: value for name, value in told.items() if name not in os.environ}


def has_local_torch(pip: Mapping[str, list[str]]) -> bool:
    """Whether a folder that pip looks into holds a wheel of torch."""
    folders = [Path(link.removeprefix("file://")) for link in pip.get("find-links", [])]
    return any(list(folder.glob("torch-*.whl")) for folder in folders)


def wanted(extras: Sequence[str]) -> dict[str, object]:
    """What a .venv with these extras is made for, as its stamp says it."""
    needs = b"\0".join(file.read_bytes() for file in (ROOT / "pyproject.toml", CONSTRAINTS))
    return {
        "place": f"{ROOT} {sys.base_prefix} {sys.version_info[:2]}",
        "needs": hashlib.sha256(needs).hexdigest(),
        "extras": sorted(set(extras)),
    }


def stamped() -> dict[str, list[str]]:
    """The stamp that the last set-up left; empty when it was cut short or there was none."""
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def set_up(extras: Sequence[str]) -> None:
    """Makes .venv hold Paceline with these extras; does nothing when it does already."""
    found, names = stamped(), sorted({*extras, *stamped().get("extras", [])})
    healthy = works([PYTHON, "-c", "import importlib.util as u; u.find_spec('torch').origin"])
    if found == wanted(names) and healthy:
        return
    broken = PYTHON.parent.exists() and not healthy
    if broken or (STAMP.exists() and found.get("place") != wanted(names)["place"]):
        say(f"{VENV} is broken, moved or half made: making it again")
        shutil.rmtree(VENV)
    VENV.mkdir(exist_ok=True)
    STAMP.write_text("{}", encoding="utf-8")  # until the end, this one is half made
    install(names)
    STAMP.write_text(json.dumps(wanted(names)), encoding="utf-8")
    say(f"ready: {VENV}")


def install(extras: Sequence[str]) -> None:
    """Makes the environment and puts Paceline and its extras into it: with uv, else with pip."""
    uv, pip = find_uv(), pip_settings()
    told = uv_environment(pip)
    package: list[str | Path] = ["-c", CONSTRAINTS, "-e", f"{ROOT}[{','.join(extras)}]"]
    line = f"installing Paceline with {', '.join(extras)}"

    def venv_by_uv() -> None:
        step("making .venv", [str(uv), "venv", "-q", "--allow-existing", "-p", HOST, VENV], told)

    def venv_by_python() -> None:
        step("making .venv", [HOST, "-m", "venv", "--without-pip", VENV])

    def by_uv(*options: str) -> None:
        into = [str(uv), "pip", "install", *uv_options(pip), *options, "-p", str(PYTHON)]
        step(" ".join([line, "by uv", *options]), [*into, *package], told)

    def by_pip() -> None:
        require_pip()
        into = [HOST, "-m", "pip", "--python", PYTHON, "install"]
        step(f"{line} by pip", [*into, *package], PIP_ENVIRONMENT)

    choose_torch = [] if has_local_torch(pip) else [lambda: by_uv("--torch-backend=auto")]
    first_that_works(*([venv_by_uv] if uv else []), venv_by_python)
    first_that_works(*([*choose_torch, by_uv] if uv else []), by_pip)


def require_pip() -> None:
    if not works([HOST, "-m", "pip", "--version"]):
        raise Failure(f"{HOST} has no pip; get it with: sudo apt install python3-pip")


def find_uv() -> Path | None:
    """The uv in .venv, fetched by pip if need be; None when pip cannot bring it."""
    uv = BOOTSTRAP / "bin" / ("uv.exe" if WINDOWS else "uv")
    if works([uv, "--version"]):
        return uv
    shutil.rmtree(BOOTSTRAP, ignore_errors=True)
    require_pip()
    command = [HOST, "-m", "pip", "install", "--target", BOOTSTRAP, "-c", CONSTRAINTS, "uv"]
    try:
        step("fetching uv, a quick installer, into .venv", command, PIP_ENVIRONMENT)
    except Failure as failure:
        say(f"{failure}; pip does it all, then")
    return uv if works([uv, "--version"]) else None


def hand_over(command: Command) -> int:
    """Runs a program in the foreground; Ctrl-C is its own to answer. Gives its exit code."""
    process = subprocess.Popen(command, cwd=ROOT)
    while True:
        try:
            code = process.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            continue


def setup(rest: Sequence[str]) -> int:
    """only sets .venv up, with everything that the other commands need"""
    return 0


def demo(rest: Sequence[str]) -> int:
    """trains on scikit-learn's handwritten digits; says where model and report lie"""
    return hand_over([BIN / "paceline", "fit", "digits", *rest])


def test(rest: Sequence[str]) -> int:
    """runs the whole suite, or what pytest's own arguments choose"""
    at_once = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "worksteal"]
    return hand_over([PYTHON, "-m", "pytest", *(rest or at_once)])


def lint(rest: Sequence[str]) -> int:
    """checks style, types and which way imports point"""
    names = ("src", "tests", "benchmarks", "examples", "dev.py")
    code = [name for name in names if (ROOT / name).exists()]
    ruff = BIN / "ruff"
    style: list[Command] = [[ruff, "check", *code], [ruff, "format", "--check", *code]]
    return max([hand_over(check) for check in [*style, [BIN / "mypy"], [BIN / "lint-imports"]]])


def bench(rest: Sequence[str]) -> int:
    """answers one of the questions in benchmarks/: NAME [its arguments]"""
    known = sorted(file.stem for file in ROOT.glob("benchmarks/[a-z]*.py"))
    if not rest or rest[0] not in known:
        raise Failure(f"bench needs a NAME, one of: {', '.join(known) or '(none yet)'}")
    return hand_over([PYTHON, ROOT / "benchmarks" / f"{rest[0]}.py", *rest[1:]])


COMMANDS = {  # name: function, extras that it needs, examples
    "demo": (demo, ("all",), ("demo", "demo --seed 1 --time 30s")),
    "test": (test, ("all", "test"), ("test", "test tests/core -x", "test -k ledger")),
    "lint": (lint, ("all", "test"), ("lint",)),
    "bench": (bench, ("all", "bench"), ("bench loop_overhead --smoke",)),
    "setup": (setup, ("all", "bench", "test"), ("setup",)),
}


def parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(description=__doc__, formatter_class=plain, allow_abbrev=False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (run, _, examples) in COMMANDS.items():
        commands.add_parser(
            name,
            help=run.__doc__,
            usage=f"dev.py {name}" + ("" if run in (setup, lint) else " [ARGUMENT ...]"),
            description=f"{name}: {run.__doc__}. Sets .venv up first, if need be.",
            epilog="examples:\n" + "\n".join(f"  python3 dev.py {each}" for each in examples),
            formatter_class=plain,
            allow_abbrev=False,
        )
    return top


def main(words: Sequence[str]) -> int:
    """Runs one command; gives the exit code."""
    options, rest = parser().parse_known_args(words or ["--help"])
    run, extras, _ = COMMANDS[options.command]
    try:
        if rest and run in (setup, lint):
            raise Failure(f"{options.command} takes no arguments, got: {' '.join(rest)}")
        set_up(extras)
        return run(rest)
    except (Failure, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; the same command goes on from here", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
