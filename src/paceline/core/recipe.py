"""A run's settings: a TOML recipe, checked, with ``--set a.b=c`` on top.

Sections that choose a part (``task``, ``model``, ``optimizer``, ``controller``) hold its
``name`` and the part's own settings; those are checked when the part is built.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from paceline.core.errors import SettingError, nearest


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@final
class Part(BaseModel):
    """A part by its name, with its own settings beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str | None = Field(default=None, description="the part; left out, the task chooses")

    @property
    def settings(self) -> dict[str, Any]:
        """The part's own settings."""
        return dict(self.model_extra or {})


@final
class DataSettings(_Section):
    """How examples are divided and fed."""

    test: float = Field(default=0.2, ge=0, lt=1, description="share held out for the test")
    validation: float = Field(default=0.1, ge=0, lt=1, description="share that chooses weights")
    batch_size: int | None = Field(default=None, ge=1, description="examples in an update")
    resident: Literal["auto", "always", "never"] = Field(
        default="auto", description="keep the data on the device, or stream them by workers"
    )
    workers: int | None = Field(default=None, ge=0, description="processes that read streamed data")
    skip_bad: bool = Field(default=False, description="leave out files that cannot be read")
    group: str | None = Field(
        default=None, description="a column whose equal values are never divided between parts"
    )
    labels: int | None = Field(
        default=None, ge=1, description="labels that are looked at; the others count as unknown"
    )
    augment: bool = Field(default=True, description="vary training examples at random")


@final
class LoopSettings(_Section):
    """How a step is done."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    accumulate: int = Field(default=1, ge=1, description="micro-batches in one update")
    clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    average: float = Field(
        default=0.99, ge=0, lt=1, description="decay of the weights' moving average; 0 is off"
    )
    compile: bool = Field(default=False, description="torch.compile the model")
    channels_last: bool = Field(default=True, description="memory format of images")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps")
    validations: int = Field(default=20, ge=1, description="times to validate in a run")
    save_seconds: float = Field(
        default=30.0, ge=0, description="longest work a kill can lose; 0 saves every step"
    )


@final
class AgentSettings(_Section):
    """Several agents that compute each gradient together."""

    count: int | None = Field(default=None, ge=1, description="agents; left out, none")
    engine: str = Field(default="local", description="where they live: local, ray, torchrun")
    address: str | None = Field(default=None, description="of a Ray cluster that runs already")
    policy: Part = Part(name="model")
    alpha: float = Field(default=1.0, ge=0, description="what time counts in the reward")
    beta: float = Field(default=0.0, ge=0, description="what resources count in the reward")
    prices: tuple[float, ...] | None = Field(default=None, description="of a second of each agent")
    shards: Literal["random", "labels"] | None = Field(
        default=None, description="each agent learns from a part of its own; to experiment"
    )
    sync_interval: int | Literal["auto"] = Field(
        default=1,
        description="local steps between two synchronisations; 1 is exact, auto as the link needs",
    )
    outer_rate: float | None = Field(
        default=None, gt=0, description="of the outer step; left out, 0.7, and 1 for auto"
    )
    outer_momentum: float | None = Field(
        default=None, ge=0, lt=1, description="of the outer step; left out, 0.9, and 0 for auto"
    )
    port: int = Field(
        default=0, ge=0, le=65535, description="where agents and requests come in; 0 is a free one"
    )
    min_agents: int = Field(default=1, ge=1, description="with fewer the run saves and stops")
    threads: int | None = Field(default=None, ge=1, description="that each agent computes with")
    slow: tuple[float, ...] = Field(
        default=(), description="agents that pretend to be so many times slower; to experiment"
    )
    watch: bool = Field(default=False, description="decide and write down, but share equally")

    @field_validator("sync_interval", mode="before")
    @classmethod
    def _interval(cls, value: Any) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not whole and value != "auto":
            told = "a whole number, at least 1, or 'auto'"
            raise ValueError(f"agents.sync_interval must be {told}, got {value!r}")
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if any(each < 1 for each in self.slow):
            raise ValueError(f"slow: nobody can be faster than they are, got {self.slow}")
        if self.count is None:
            defaults = type(self).model_fields
            given = [name for name, value in self if value != defaults[name].default]
            if given:
                raise ValueError(f"agents.{given[0]} needs agents.count: add --agents N")
            return self
        if len(self.slow) > self.count:
            raise ValueError(f"slow names {len(self.slow)} agents, but there are {self.count}")
        if self.min_agents > self.count:
            raise ValueError(f"min_agents is {self.min_agents}, but there are {self.count} agents")
        return self


@final
class Budget(_Section):
    """When training ends: after so many steps, epochs or seconds; at most one of them."""

    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name, value in self if value is not None]
        if len(given) > 1:
            raise ValueError(f"give one of steps, epochs and time, not {' and '.join(given)}")
        return self


@final
class Recipe(_Section):
    """Everything that decides what a run does, besides the data."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    target: str | None = Field(default=None, description="the column to predict")
    baselines: bool = Field(default=True, description="measure plain baselines too")
    task: Part = Part()
    model: Part = Part()
    optimizer: Part = Part()
    controller: Part = Part()
    beside: dict[str, dict[str, Any] | bool] = Field(
        default={}, description="controllers that watch over it; the guard does unless it is false"
    )
    data: DataSettings = DataSettings()
    loop: LoopSettings = LoopSettings()
    agents: AgentSettings = AgentSettings()
    budget: Budget = Budget()


def read_recipe(
    file: Path | None = None,
    assignments: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Recipe:
    """A checked recipe from a TOML file, ``a.b=c`` assignments and plain overrides.

    Later ones win; an override of None leaves things as they are.

    Raises:
        SettingError: A key is unknown (the nearest known one is named) or a value wrong.

    >>> read_recipe(assignments=["loop.accumulate=4", "model.name=conv"]).loop.accumulate
    4
    """
    values = _read_toml(file) if file else {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise SettingError(f"--set {assignment}: write it as section.key=value")
        put(values, path.strip(), _parse(text.strip()))
    for path, value in (overrides or {}).items():
        if value is not None:
            put(values, path, value)
    return recipe_from(values)


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """A checked recipe from nested dictionaries, as ``run.json`` keeps them."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise SettingError(_one_line(error)) from None


def put(values: dict[str, Any], path: str, value: Any) -> None:
    """Sets ``a.b.c`` in nested dictionaries."""
    *folders, last = path.split(".")
    place = values
    for folder in folders:
        place = place.setdefault(folder, {})
        if not isinstance(place, dict):
            raise SettingError(f"{path}: {folder} is a value, not a section")
    place[last] = value


def differences(old: Recipe, new: Recipe) -> list[str]:
    """The settings in which two recipes differ, as ``a.b: old → new``."""
    before, after = _flat(old.model_dump()), _flat(new.model_dump())
    return [
        f"{key}: {before.get(key)} → {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"cannot read the recipe {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"the recipe {file} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"the recipe {file} is not TOML: {error}") from None


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return {"none": None}.get(text.lower(), text)


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        section = _section(first["loc"][:-1])
        return f"there is no setting {path!r}{nearest(str(first['loc'][-1]), section)}"
    message = first["msg"].removeprefix("Value error, ")
    if not path or first["type"] == "value_error":
        return message
    return f"{path}: {message[0].lower()}{message[1:]}, got {first['input']!r}"


def _section(location: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for name in location:
        inner = model.model_fields[str(name)].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)
