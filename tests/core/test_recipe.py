"""A recipe is checked whole, and each mistake in it is one line that says what would be right."""

from __future__ import annotations

import json

import pytest

from paceline.core.errors import SettingError
from paceline.core.recipe import Recipe, differences, put, read_recipe, recipe_from


def _toml(tmp_path, text: str | bytes):
    path = tmp_path / "recipe.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_later_settings_win_over_earlier_ones(tmp_path):
    file = _toml(tmp_path, "seed = 1\n[loop]\nclip = 1.0\naccumulate = 2\n[model]\nname='conv'\n")
    recipe = read_recipe(file, ["loop.clip=2", "model.width=8"], {"seed": 3, "target": None})
    assert (recipe.seed, recipe.loop.clip, recipe.loop.accumulate) == (3, 2.0, 2)
    assert (recipe.model.name, recipe.model.settings) == ("conv", {"width": 8})
    assert recipe.target is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ('"a b"', "a b"),
        ("[1, 2]", [1, 2]),
        ("plain words", "plain words"),
        ("none", None),
        ("None", None),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_an_assigned_value_is_read_as_toml_or_else_as_text(text, value):
    assert read_recipe(assignments=[f"model.x={text}"]).model.settings == {"x": value}


def test_a_recipe_is_the_same_after_json():
    recipe = read_recipe(assignments=["model.name=mlp", "model.width=3", "budget.steps=5"])
    assert recipe_from(json.loads(json.dumps(recipe.model_dump()))) == recipe


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("loop.acumulate=2", "no setting 'loop.acumulate'; did you mean 'accumulate'"),
        ("lop.clip=2", "no setting 'lop'; did you mean 'loop'"),
        ("loop.accumulate=0", "loop.accumulate: input should be greater than or equal to 1, got 0"),
        ("loop.precision=fp8", r"loop.precision: input should be 'auto', 'fp32', .*, got 'fp8'"),
        ("loop.clip=nan", "loop.clip: input should be a finite number, got nan"),
        ("loop.clip=-1", "loop.clip: input should be greater than 0, got -1"),
        ("seed=-1", "seed: input should be greater than or equal to 0, got -1"),
        ("seed=9223372036854775808", "seed: "),
        ("data.test=1", "data.test: input should be less than 1, got 1"),
        ("budget.steps=-5", "budget.steps: input should be greater than or equal to 1, got -5"),
        ("loop=3", "loop: "),
        ("model=conv", "model: "),
        ("seed.deep=3", "seed: "),
    ],
)
def test_each_mistake_is_one_line_that_says_what_would_be_right(assignment, line):
    with pytest.raises(SettingError, match=line) as caught:
        read_recipe(assignments=[assignment])
    assert "\n" not in str(caught.value)


def test_two_budgets_are_refused():
    with pytest.raises(SettingError, match="give one of steps, epochs and time, not steps and"):
        read_recipe(assignments=["budget.steps=5", "budget.epochs=2"])


@pytest.mark.parametrize("text", ["loop.clip", "=3", ""])
def test_an_assignment_without_key_or_value_is_refused(text):
    with pytest.raises(SettingError, match=r"write it as section\.key=value"):
        read_recipe(assignments=[text])


def test_a_value_is_no_section():
    with pytest.raises(SettingError, match=r"a\.b\.c: b is a value, not a section"):
        put({"a": {"b": 1}}, "a.b.c", 2)


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"cannot read the recipe .*missing\.toml: No such file"):
        read_recipe(tmp_path / "missing.toml")


def test_a_recipe_that_is_not_toml_is_named_with_the_place(tmp_path):
    with pytest.raises(SettingError, match=r"recipe\.toml is not TOML: .*line 1"):
        read_recipe(_toml(tmp_path, "seed == 3"))


def test_a_recipe_that_is_not_text_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"recipe\.toml is not UTF-8 text"):
        read_recipe(_toml(tmp_path, b"\xff\xfe"))


def test_differences_name_both_values():
    old = read_recipe(assignments=["seed=1", "model.width=3"])
    new = read_recipe(assignments=["seed=2", "model.depth=4"])
    assert differences(old, new) == [
        "model.depth: None → 4",
        "model.width: 3 → None",
        "seed: 1 → 2",
    ]
    assert differences(Recipe(), Recipe()) == []
