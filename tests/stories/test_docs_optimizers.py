"""What the page on optimizers says is so: its numbers, its names, its links."""

from __future__ import annotations

import doctest
import re
import tomllib

import pytest

from paceline.core import catalog


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "optimizers.md").read_text(encoding="utf-8")


def test_every_example_gives_what_it_says(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "optimizers.md", None, 0)
    said: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert outcome.failed == 0, "".join(said)
    assert outcome.attempted >= 20


def test_an_example_that_is_wrong_would_be_seen():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "page", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1


@pytest.mark.parametrize("method", ["AdaGrad", "Adadelta", "RMSProp", "Adam"])
def test_each_method_has_its_equation_its_example_its_setting_and_its_use(page, method):
    section = page.split(f"\n## {method}\n")[1].split("\n## ")[0]
    assert re.search(r"^    x_t = x_\{t-1\} - η", section, re.MULTILINE)
    assert "two_steps(torch.optim." in section
    assert "**The setting that matters**" in section
    assert "**When:**" in section


def test_every_controller_has_its_line(page):
    table = page.split("\n## Controllers\n")[1]
    named = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)))
    assert len(named) == len(set(named))
    assert set(catalog.names("controllers")) <= set(named)


def test_the_extra_exists(page, root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r"paceline\[(\w+)\]", page))
    assert named
    assert named <= set(project["optional-dependencies"])
