"""dev.py: one file of the standard library that makes .venv whole and hands over."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

COMMANDS = ("demo", "test", "lint", "bench", "setup")


@pytest.fixture
def dev(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """dev.py, its repository an empty one in a directory with a space in its name."""
    spec = importlib.util.spec_from_file_location("dev", root / "dev.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    home = tmp_path / "a clone"
    home.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        (home / name).write_text(name)
    monkeypatch.setattr(module, "ROOT", home)
    monkeypatch.setattr(module, "VENV", home / ".venv")
    monkeypatch.setattr(module, "STAMP", home / ".venv" / "stamp.json")
    monkeypatch.setattr(module, "BOOTSTRAP", home / ".venv" / ".bootstrap")
    monkeypatch.setattr(module, "CONSTRAINTS", home / "constraints.txt")
    monkeypatch.setattr(module, "PYTHON", home / ".venv" / "bin" / "python")
    return module


@pytest.fixture
def installed(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The extras of each installation; each one makes a Python that works."""
    calls: list[list[str]] = []

    def install(extras: list[str]) -> None:
        calls.append(extras)
        dev.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        dev.PYTHON.touch()

    monkeypatch.setattr(dev, "install", install)
    monkeypatch.setattr(dev, "works", lambda command: Path(command[0]).exists())
    return calls


def test_it_imports_the_standard_library_alone(root: Path) -> None:
    tree = ast.parse((root / "dev.py").read_text(encoding="utf-8"))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_without_setting_anything_up(root: Path, command: str) -> None:
    line = [sys.executable, "-I", "-S", str(root / "dev.py"), command, "--help"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0
    assert f"  python3 dev.py {command}" in done.stdout


def test_a_second_set_up_has_nothing_to_do(dev: ModuleType, installed: list[list[str]]) -> None:
    dev.set_up(["all"])
    dev.set_up(["all"])
    assert installed == [["all"]]


def test_extras_add_up(dev: ModuleType, installed: list[list[str]]) -> None:
    dev.set_up(["all"])
    dev.set_up(["test"])
    dev.set_up(["all"])
    assert installed == [["all"], ["all", "test"]]


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_needs_are_installed_in_place(
    dev: ModuleType, installed: list[list[str]], file: str
) -> None:
    dev.set_up(["all"])
    (dev.VENV / "kept").touch()
    (dev.ROOT / file).write_text("changed")
    dev.set_up(["all"])
    assert len(installed) == 2
    assert (dev.VENV / "kept").exists()


def cut_short(dev: ModuleType) -> None:
    dev.STAMP.write_text("{}")


def moved(dev: ModuleType) -> None:
    dev.STAMP.write_text(json.dumps(json.loads(dev.STAMP.read_text()) | {"place": "elsewhere"}))


def garbled(dev: ModuleType) -> None:
    dev.STAMP.write_text("{")


def without_python(dev: ModuleType) -> None:
    dev.PYTHON.unlink()


@pytest.mark.parametrize("accident", [cut_short, moved, garbled, without_python])
def test_what_is_not_whole_is_made_again(
    dev: ModuleType, installed: list[list[str]], accident: Callable[[ModuleType], None]
) -> None:
    dev.set_up(["all"])
    (dev.VENV / "leftover").touch()
    accident(dev)
    dev.set_up(["all"])
    assert len(installed) == 2
    assert not (dev.VENV / "leftover").exists()


def test_a_set_up_that_fails_is_not_taken_for_whole(
    dev: ModuleType, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(extras: list[str]) -> None:
        raise dev.Failure("no network")

    working = dev.install
    monkeypatch.setattr(dev, "install", fail)
    with pytest.raises(dev.Failure, match="no network"):
        dev.set_up(["all"])
    monkeypatch.setattr(dev, "install", working)
    dev.set_up(["all"])
    assert installed == [["all"]]


def test_what_pip_was_told_is_handed_on_to_uv(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nextra-index-url = file:///a file:///b\nfind-links = /nowhere\n")
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path}/wheels https://example.org/wheels /absent")
    settings = dev.pip_settings()
    assert settings["extra-index-url"] == ["file:///a", "file:///b"]
    options = dev.uv_options({**settings, "index-url": ["https://m"], "no-index": ["true"]})
    assert options == [
        f"--find-links={tmp_path}/wheels",
        "--find-links=https://example.org/wheels",
        "--default-index=https://m",
        "--index=file:///a",
        "--index=file:///b",
        *(f"--allow-insecure-host={host}" for host in settings.get("trusted-host", [])),
        "--index-strategy=unsafe-best-match",
        "--no-index",
    ]


def test_certificates_are_handed_on_and_a_missing_home_gets_a_cache(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("USERPROFILE", raising=False)
    for name in ("SSL_CERT_FILE", "UV_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert dev.uv_environment({"cert": ["/certificates"]}) == {
        "SSL_CERT_FILE": "/certificates",
        "UV_CACHE_DIR": str(dev.VENV / ".cache"),
    }


def test_a_local_wheel_of_torch_is_seen(dev: ModuleType, tmp_path: Path) -> None:
    assert not dev.has_local_torch({"find-links": [str(tmp_path)]})
    (tmp_path / "torch-2.13.0-py3-none-any.whl").touch()
    assert dev.has_local_torch({"find-links": ["/absent", f"file://{tmp_path}"]})


def tried(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, *working: str) -> list[str]:
    """What an installation tries when only the steps with these words in them succeed."""
    lines: list[str] = []

    def step(what: str, command: list[str], extra_env: object = None) -> None:
        lines.append(what)
        if not any(word in what for word in working):
            raise dev.Failure(f"{what} failed")

    monkeypatch.setattr(dev, "step", step)
    monkeypatch.setattr(dev, "pip_settings", dict)
    fetches = "fetching" in working
    monkeypatch.setattr(dev, "works", lambda command: "pip" in command or (fetches and bool(lines)))
    dev.install(["all"])
    return lines


FETCH, VENV = "fetching uv, a quick installer, into .venv", "making .venv"
INSTALL = "installing Paceline with all by"


def test_uv_chooses_torch_for_the_machine_and_else_takes_what_comes(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = [FETCH, VENV, f"{INSTALL} uv --torch-backend=auto"]
    assert tried(dev, monkeypatch, "fetching", "making", "by uv") == usual
    assert tried(dev, monkeypatch, "fetching", "making", "by pip") == [
        *usual,
        f"{INSTALL} uv",
        f"{INSTALL} pip",
    ]


def test_pip_does_it_all_where_uv_cannot_be_had(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tried(dev, monkeypatch, "making", "by pip") == [FETCH, VENV, f"{INSTALL} pip"]


def test_a_missing_pip_is_one_line_that_says_what_to_install(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "works", lambda command: False)
    assert dev.main(["demo"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and errors[0].startswith("error: ")
    assert "apt install python3-pip" in errors[0]


def test_a_failed_step_shows_its_tail_and_its_last_line(
    dev: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print(*range(99), sep='\\n'); sys.exit('no space left')"
    with pytest.raises(dev.Failure, match=r"counting failed \(exit code 1\): no space left"):
        dev.step("counting", [sys.executable, "-c", code])
    shown = capsys.readouterr().err
    assert "    98\n    no space left" in shown and "    1\n" not in shown
    with pytest.raises(dev.Failure, match="exit code 127"):
        dev.step("starting", ["/absent"])


@pytest.mark.parametrize(
    ("words", "handed"),
    [
        (["test", "-k", "a or b", "-x", "tests/core"], ["-k", "a or b", "-x", "tests/core"]),
        (["demo", "--seed", "1", "--json"], ["--seed", "1", "--json"]),
        (["bench", "speed", "--smoke"], ["--smoke"]),
    ],
)
def test_arguments_are_handed_on_in_order(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, words: list[str], handed: list[str]
) -> None:
    (dev.ROOT / "benchmarks").mkdir()
    (dev.ROOT / "benchmarks" / "speed.py").touch()
    commands: list[list[object]] = []
    monkeypatch.setattr(dev, "set_up", lambda extras: None)

    def hand_over(command: list[object]) -> int:
        commands.append(command)
        return 7

    monkeypatch.setattr(dev, "hand_over", hand_over)
    assert dev.main(words) == 7
    assert commands[0][-len(handed) :] == handed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "sped"], "one of: speed"),
        (["setup", "all"], "takes no arguments"),
    ],
)
def test_a_wrong_word_is_one_line(
    dev: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    (dev.ROOT / "benchmarks").mkdir()
    (dev.ROOT / "benchmarks" / "speed.py").touch()
    monkeypatch.setattr(dev, "set_up", lambda extras: None)
    assert dev.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


def test_the_exit_code_is_the_programs_own(dev: ModuleType) -> None:
    assert dev.hand_over([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    died = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert dev.hand_over([sys.executable, "-c", died]) == 128 + 15
