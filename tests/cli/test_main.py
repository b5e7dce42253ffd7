from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paceline import __version__
from paceline.cli import main
from paceline.core.errors import DataError


def ended(capsys, *tokens: str) -> tuple[int, str, str]:
    code = main.run(tokens)
    said = capsys.readouterr()
    return code, said.out, said.err


def raising(monkeypatch, error: BaseException) -> None:
    module = importlib.import_module("paceline.cli.runs")

    def runs() -> None:
        raise error

    monkeypatch.setattr(module, "runs", runs)


def test_help_names_every_command(capsys):
    code, out, _ = ended(capsys, "--help")
    assert code == 0
    assert all(name in out for name in main.COMMANDS)
    assert "--install-completion" in out


@pytest.mark.parametrize("name", main.COMMANDS)
def test_each_command_explains_itself_with_examples(capsys, name):
    code, out, _ = ended(capsys, name, "--help")
    assert code == 0
    assert "Examples:" in out and f"    paceline {name}" in out
    assert "--json" in out


@pytest.mark.parametrize("name", [name for name in main.COMMANDS if name != "predict"])
def test_the_list_of_commands_and_their_files_agree(name):
    command = getattr(importlib.import_module(f"paceline.cli.{name}"), name)
    assert command.__doc__


def test_the_version_is_told(capsys):
    assert ended(capsys, "--version") == (0, f"{__version__}\n", "")


def test_help_imports_neither_torch_nor_any_command():
    code = (
        "import sys; from paceline.cli.main import run; run(['--help']);"
        "print([m for m in sys.modules if m == 'torch' or m.startswith('paceline.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['paceline.cli.main']"


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (["fti"], "did you mean 'fit'"),
        (["runs", "--jsn"], "--json"),
        (["fit"], "DATA"),
        (["fit", "digits", "--steps", "many"], "steps"),
        (["why"], "RUN"),
        (["why", "nothing"], "there is no run 'nothing'"),
        (["parts", "modls"], "did you mean 'models'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(capsys, tokens, told):
    code, out, err = ended(capsys, *tokens)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    assert told in err


def test_an_error_of_several_lines_is_told_in_one(capsys, monkeypatch):
    raising(monkeypatch, DataError("first\n  second"))
    assert ended(capsys, "runs") == (2, "", "error: first second\n")


def test_ctrl_c_is_told_in_one_line(capsys, monkeypatch):
    raising(monkeypatch, KeyboardInterrupt())
    assert ended(capsys, "runs") == (130, "", "error: interrupted\n")


def test_a_missing_torch_sends_to_the_doctor(capsys, monkeypatch):
    raising(monkeypatch, ModuleNotFoundError("no", name="torch"))
    code, _, err = ended(capsys, "runs")
    assert code == 2 and "paceline doctor" in err


@pytest.mark.parametrize("bug", [ValueError("oops"), ModuleNotFoundError("no", name="other")])
def test_a_bug_keeps_its_traceback(monkeypatch, bug):
    raising(monkeypatch, bug)
    with pytest.raises(type(bug)):
        main.run(["runs"])


def test_main_leaves_with_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paceline", "why", "nothing"])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 2
    assert capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(monkeypatch, tmp_path):
    raising(monkeypatch, BrokenPipeError())
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert main.run(["runs"]) == 141
        assert os.fstat(file.fileno()).st_ino == Path(os.devnull).stat().st_ino


def test_json_is_strict_and_one_line(monkeypatch):
    from paceline.cli._out import put_json

    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    put_json({"a": [float("nan"), 1.5], "b": {"c": float("inf")}, "d": "x\ny"})
    assert file.getvalue().count("\n") == 1
    assert json.loads(file.getvalue()) == {"a": [None, 1.5], "b": {"c": None}, "d": "x\ny"}


def test_a_terminal_that_cannot_write_a_character_gets_a_question_mark(monkeypatch):
    raw = io.BytesIO()
    narrow = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stderr", narrow)
    with pytest.raises(SystemExit):
        main.main(["why", "größe"])
    assert raw.getvalue().startswith(b"error: there is no run 'gr??e'")
