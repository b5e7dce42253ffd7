from __future__ import annotations

import json

import pytest

from paceline.cli import main
from paceline.cli.parts import describe
from paceline.core import catalog
from paceline.core.errors import MissingExtra


def told(capsys, *tokens: str) -> list[dict]:
    assert main.run(["parts", *tokens, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])["parts"]


def test_every_part_of_every_shelf_is_listed(capsys):
    found = {(part["shelf"], part["name"]) for part in told(capsys)}
    assert found == {(shelf, name) for shelf in catalog.SHELVES for name in catalog.names(shelf)}


def test_a_shelf_is_listed_with_first_lines_and_settings(capsys):
    assert main.run(["parts", "controllers"]) == 0
    out = capsys.readouterr().out
    assert "Falls in a straight line" in out and "warmup=0.05, end=0.0" in out


def test_a_part_is_told_with_type_and_default_of_its_settings(capsys):
    (part,) = told(capsys, "controllers", "linear")
    assert {"name": "warmup", "type": "float", "default": 0.05} in part["settings"]
    assert main.run(["parts", "controllers", "linear"]) == 0
    assert "warmup: float = 0.05" in capsys.readouterr().out


def test_an_unknown_part_names_the_nearest(capsys):
    assert main.run(["parts", "controllers", "linaer"]) == 2
    assert "did you mean 'linear'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (MissingExtra('needs pandas: pip install "paceline[tables]"'), "paceline[tables]"),
        (ModuleNotFoundError("no", name="tabm.core"), "needs the package tabm,"),
    ],
)
def test_a_part_whose_extra_is_missing_is_listed_with_that_said(monkeypatch, capsys, error, lack):
    def find(shelf: str, name: str):
        raise error

    monkeypatch.setattr(catalog, "find", find)
    assert lack in describe("models", "tabm").missing
    assert main.run(["parts", "models", "tabm"]) == 0
    assert lack in capsys.readouterr().out
