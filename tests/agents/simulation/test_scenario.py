"""Scenario files: the shipped ones are sound, and every key refuses what cannot be."""

from __future__ import annotations

import copy
import math
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

from paceline.agents.simulation.fleet import counts_of, draw_fleet
from paceline.agents.simulation.scenario import Scenario, read_scenario, scenario_from, shipped
from paceline.core.errors import SettingError
from paceline.core.rounds import Choice

FULL = {
    "title": "everything",
    "rounds": 50,
    "examples_per_agent": 64,
    "reward": {"alpha": 1.0, "beta": 0.5, "slack": 1.5},
    "link": {"latency_seconds": 0.01, "megabytes": 10, "megabytes_per_second": [10, 100]},
    "law": {
        "interval": ["hyperbola"],
        "batch": ["noise_scale"],
        "client_drift": 0.01,
        "noise_scale": [1, 8],
        "noise": 0.1,
        "drift": 0.01,
        "growth": 0.0,
    },
    "choices": {"sync_intervals": [1, 4], "batch_factors": [1, 2]},
    "agents": [
        {
            "name": "one",
            "count": 2,
            "start_seconds": 0.01,
            "seconds_per_example": [0.001, 0.002],
            "noise": 0.05,
            "drift": 0.01,
            "price": 2.0,
            "most_samples": 500,
            "knee": [64, 100],
            "knee_slope": 3.0,
            "heat": {"rate": 0.1, "above": 0.8, "cool": 0.4, "slowdown": 2.0},
            "failures": {"rounds_up": 100, "rounds_away": 5},
        },
        {"name": "two", "seconds_per_example": 0.004},
    ],
    "switch": [{"at": 0.2, "factors": [2.0], "agents": [0], "share": 0.5}],
    "swap": [{"at": 0.5, "agents": [0, 1]}],
    "join": [{"at": 0.6, "of": "two", "count": 1}],
    "leave": [{"at": 0.7, "agents": [1], "rounds": 5}],
    "redraw": [{"at": 0.8}],
}

BAD = [
    ("title", 3),
    ("rounds", 0),
    ("examples_per_agent", 0),
    ("reward", 1),
    ("reward.alpha", -1),
    ("reward.beta", -0.1),
    ("reward.slack", 0.9),
    ("link", "slow"),
    ("link.latency_seconds", -0.1),
    ("link.megabytes", -1),
    ("link.megabytes_per_second", 0),
    ("law", []),
    ("law.interval", ["parabola"]),
    ("law.batch", []),
    ("law.client_drift", 0),
    ("law.noise_scale", [8, 1]),
    ("law.noise", -0.1),
    ("law.drift", -0.1),
    ("law.growth", "fast"),
    ("choices", 3),
    ("choices.sync_intervals", [0]),
    ("choices.batch_factors", [-1]),
    ("agents", []),
    ("agents.0.name", ""),
    ("agents.0.count", 0),
    ("agents.0.start_seconds", -1),
    ("agents.0.seconds_per_example", 0),
    ("agents.0.noise", -0.1),
    ("agents.0.drift", 1.0),
    ("agents.0.price", -2),
    ("agents.0.most_samples", 0),
    ("agents.0.knee", [0.5, 2]),
    ("agents.0.knee_slope", 0.5),
    ("agents.0.heat", 1),
    ("agents.0.heat.rate", 0),
    ("agents.0.heat.above", 1.0),
    ("agents.0.heat.cool", 1.0),
    ("agents.0.heat.slowdown", 0.5),
    ("agents.0.failures", 10),
    ("agents.0.failures.rounds_up", 0),
    ("agents.0.failures.rounds_away", 0),
    ("switch", 1),
    ("switch.0.at", 1.0),
    ("switch.0.factors", [0.0]),
    ("switch.0.agents", [-1]),
    ("switch.0.share", 0.0),
    ("swap", 1),
    ("swap.0.at", -0.1),
    ("swap.0.agents", [1]),
    ("join", 1),
    ("join.0.at", 2),
    ("join.0.of", "three"),
    ("join.0.count", 0),
    ("leave", 1),
    ("leave.0.at", "midway"),
    ("leave.0.agents", []),
    ("leave.0.rounds", -1),
    ("redraw", 1),
    ("redraw.0.at", math.nan),
]


def put(values, path, value):
    *folders, last = [int(each) if each.isdigit() else each for each in path.split(".")]
    for folder in folders:
        values = values[folder]
    values[last] = value


def changed(path, value):
    given = copy.deepcopy(FULL)
    put(given, path, value)
    return given


def keys_of(model, prefix=""):
    """Every dotted key of a section and of the sections in it, the first of each list."""
    for name, field in model.model_fields.items():
        yield prefix + name
        inner, many = inner_model(field.annotation)
        if inner is not None:
            yield from keys_of(inner, f"{prefix}{name}.{'0.' if many else ''}")


def inner_model(hint):
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint, False
    for each in typing.get_args(hint):
        found, _ = inner_model(each)
        if found is not None:
            return found, typing.get_origin(hint) is tuple
    return None, False


def test_a_scenario_with_every_key_is_read():
    scenario = scenario_from(FULL)
    assert scenario.agents[0].price == (2.0, 2.0)
    assert scenario.link.megabytes_per_second == (10.0, 100.0)
    assert scenario.all_choices[:2] == (Choice(), Choice(batch_factor=2.0))


@pytest.mark.parametrize(("path", "value"), BAD, ids=[f"{path}={value}" for path, value in BAD])
def test_a_bad_value_is_refused_in_one_line_that_names_the_key(path, value):
    with pytest.raises(SettingError) as caught:
        scenario_from(changed(path, value), name="mine.toml")
    message = str(caught.value)
    assert message.startswith(f"mine.toml: {path}"), message
    assert "\n" not in message and "pydantic" not in message


def test_no_key_is_left_untried():
    assert {path for path, _ in BAD} == set(keys_of(Scenario))


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("round", "rounds"),
        ("agents.0.prise", "price"),
        ("agents.0.heat.abov", "above"),
        ("link.latency", "latency_seconds"),
        ("switch.0.factor", "factors"),
    ],
)
def test_an_unknown_key_names_the_nearest_and_where_it_is(path, near):
    with pytest.raises(SettingError) as caught:
        scenario_from(changed(path, 1), name="mine.toml")
    message = str(caught.value)
    assert f"did you mean {near!r}" in message
    assert path.rpartition(".")[0] in message and "\n" not in message


def test_what_does_not_fit_together_is_refused():
    twice = copy.deepcopy(FULL)
    twice["agents"][1]["name"] = "one"
    lawless = copy.deepcopy(FULL)
    del lawless["law"]
    worthless = changed("reward", {"alpha": 0.0, "beta": 0.0})
    needed = copy.deepcopy(FULL)
    del needed["agents"][0]["seconds_per_example"]
    for given, told in (
        (twice, "called the same"),
        (lawless, "need a [law]"),
        (worthless, "must not both be 0"),
        (needed, "agents.0.seconds_per_example: is needed and missing"),
    ):
        with pytest.raises(SettingError) as caught:
            scenario_from(given)
        assert told in str(caught.value)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_is_sound_and_says_what_it_is(name):
    scenario = read_scenario(name)
    assert scenario.title
    fleet = draw_fleet(scenario, None, scenario.rounds, 0)
    assert len(fleet) >= 2 and (fleet.slope > 0).all()


def test_all_that_was_asked_for_is_shipped():
    wanted = {
        "static", "drift", "switch", "failures", "throttling", "memory_cliff", "priced",
        "slow_links", "laws", "laws_held_out", "swap", "thousand",
    }  # fmt: skip
    assert wanted <= set(shipped())
    assert len(draw_fleet(read_scenario("thousand"), None, 10, 0)) == 1000


def test_the_laws_held_out_are_of_other_forms():
    own, other = read_scenario("laws").law, read_scenario("laws_held_out").law
    assert not set(own.interval) & set(other.interval)
    assert not set(own.batch) & set(other.batch)


def test_a_file_that_is_not_there_broken_or_no_text_is_refused(tmp_path):
    with pytest.raises(SettingError, match="did you mean 'static'"):
        read_scenario("statik")
    (tmp_path / "broken.toml").write_text("rounds = = 3")
    with pytest.raises(SettingError, match="is not TOML"):
        read_scenario(tmp_path / "broken.toml")
    (tmp_path / "bytes.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(SettingError, match="not UTF-8"):
        read_scenario(tmp_path / "bytes.toml")
    with pytest.raises(SettingError, match="no such file"):
        read_scenario(tmp_path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "mine.toml").touch()
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SettingError, match=r"cannot read .*mine\.toml: Permission denied"):
        read_scenario(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("weights", "agents"), [([1, 2, 5], 1), ([1, 2, 5], 2), ([4, 3, 5, 4], 10_000)]
)
def test_classes_share_the_agents_in_proportion(weights, agents):
    counts = counts_of(weights, agents)
    assert sum(counts) == agents
    assert all(
        abs(c - agents * w / sum(weights)) < len(weights)
        for c, w in zip(counts, weights, strict=True)
    )
