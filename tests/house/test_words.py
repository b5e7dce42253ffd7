"""Words: what things may be called, what is said about them, and what is never written."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CATEGORIES = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}
LOADERS_OF_CODE = {"torch.load", "joblib.load", "pickle.load", "pickle.loads"}
PICKLES = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
HOME = re.compile(r"""["'\s(=](/home/\w+|/root/|/Users/\w+|[A-Z]:\\Users\\)""")


def trees(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((root / "src" / "paceline").rglob("*.py")):
        yield str(file.relative_to(root)), ast.parse(file.read_text(encoding="utf-8"))


def unsafe(tree: ast.AST) -> Iterator[int]:
    """Lines that import a pickle, load one, or let NumPy load one."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if {n.name.partition(".")[0] for n in names} & PICKLES:
                yield node.lineno
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in PICKLES:
                yield node.lineno
            case ast.Attribute() if ast.unparse(node) in LOADERS_OF_CODE:
                yield node.lineno
            case ast.keyword(arg="allow_pickle", value=value) if ast.unparse(value) != "False":
                yield node.lineno


def undocumented(tree: ast.Module) -> Iterator[str]:
    """A public module, class or function without a docstring."""
    if ast.get_docstring(tree) is None:
        yield "the module"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            private = node.name.startswith("_")
            if not private and ast.get_docstring(node) is None:
                yield node.name


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
    ],
)
def test_a_pickle_is_seen(code: str) -> None:
    assert list(unsafe(ast.parse(code)))


def test_our_own_files_hold_no_pickle(root: Path) -> None:
    assert {name: lines for name, tree in trees(root) if (lines := list(unsafe(tree)))} == {}


def test_no_module_is_named_for_a_category(root: Path) -> None:
    words = {name: set(re.split(r"[/_.]", name)) for name, _ in trees(root)}
    assert {name for name, parts in words.items() if parts & CATEGORIES} == set()


def test_a_missing_docstring_is_seen() -> None:
    assert list(undocumented(ast.parse("def f(): ..."))) == ["the module", "f"]


def test_everything_public_says_what_it_gives(root: Path) -> None:
    silent = {
        name: found
        for name, tree in trees(root)
        # a promise's name is its sentence, and authors of parts read it there
        if not name.startswith("src/paceline/checks/") and (found := list(undocumented(tree)))
    }
    assert silent == {}


def test_no_file_names_a_persons_own_folder(root: Path) -> None:
    files = [root / "dev.py", root / "README.md", root / "pyproject.toml"]
    for folder in ("src", "benchmarks", "examples", "docs", ".ci"):
        files += [file for file in (root / folder).rglob("*") if file.suffix in {".py", ".md", ""}]
    text = {file: file.read_text(encoding="utf-8") for file in files if file.is_file()}
    assert [str(file.relative_to(root)) for file in text if HOME.search(text[file])] == []


# The README shows commands in ```console fences, each after a dollar sign.


def shown_commands(readme: str) -> list[list[str]]:
    fences = re.findall(r"^```console\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    lines = "\n".join(fences).replace("\\\n", " ").splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]


@pytest.fixture(scope="module")
def shown(root: Path) -> list[list[str]]:
    return shown_commands((root / "README.md").read_text(encoding="utf-8"))


def test_commands_are_found_in_fences() -> None:
    readme = "$ no\n```console\n$ paceline fit \\\n  digits  # now\nout\n```\n"
    assert shown_commands(readme) == [["paceline", "fit", "digits"]]


def test_the_readme_shows_how_to_try_it_and_how_to_test_it(shown: list[list[str]]) -> None:
    assert ["python3", "dev.py", "demo"] in shown
    assert ["python3", "dev.py", "test"] in shown


def test_every_command_in_the_readme_exists(root: Path, shown: list[list[str]]) -> None:
    programs = {
        "paceline": [str(Path(sys.executable).with_name("paceline"))],
        "dev.py": [sys.executable, str(root / "dev.py")],
    }
    verbs = set()
    for words in shown:
        words = words[1:] if words[0] == "python3" else words
        if words[0] in programs:
            verbs.add((words[0], words[1]))
    for program, verb in sorted(verbs):
        asked = [] if verb.startswith("-") else ["--help"]
        done = subprocess.run([*programs[program], verb, *asked], capture_output=True, text=True)
        assert done.returncode == 0, f"{program} {verb}: {done.stderr}"


def test_every_extra_in_the_readme_exists(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"paceline\[([\w,]+)\]", (root / "README.md").read_text(encoding="utf-8"))
    extras = {extra for group in named for extra in group.split(",")}
    assert extras <= set(project["optional-dependencies"])
