"""Scenarios: what a simulated world is made of, read from TOML and checked."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from paceline.core.errors import SettingError, nearest
from paceline.core.rounds import Choice

SHIPPED = Path(__file__).parent / "scenarios"

IntervalForm = Literal["hyperbola", "power", "cliff", "threshold"]
BatchForm = Literal["noise_scale", "power", "threshold"]


def _pair(value: Any) -> Any:
    """A number stands for a range that holds nothing else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return tuple(value)
    raise ValueError("must be a number or [lowest, highest]")


def _bounded(least: float, *, over: bool = False) -> Callable[[tuple[float, float]], Any]:
    def check(pair: tuple[float, float]) -> tuple[float, float]:
        low, high = pair
        if not (low > least if over else low >= least):
            raise ValueError(f"must be {'over' if over else 'at least'} {least:g}")
        if high < low:
            raise ValueError(f"must not end below its start, as [{low:g}, {high:g}] does")
        return pair

    return check


_Pair = tuple[float, float]
AtLeastZero = Annotated[_Pair, BeforeValidator(_pair), AfterValidator(_bounded(0.0))]
OverZero = Annotated[_Pair, BeforeValidator(_pair), AfterValidator(_bounded(0.0, over=True))]
AtLeastOne = Annotated[_Pair, BeforeValidator(_pair), AfterValidator(_bounded(1.0))]
Share = Annotated[float, Field(gt=0, le=1)]
Moment = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            for key in given:
                if key not in cls.model_fields:
                    raise ValueError(f"there is no key {key!r}{nearest(key, cls.model_fields)}")
        return given


@final
class Reward(_Section):
    """What a plan is worth: ``alpha · T_ref / T + beta · C_ref / C``."""

    alpha: float = Field(default=1.0, ge=0)
    beta: float = Field(default=0.0, ge=0)
    slack: float = Field(default=1.25, ge=1)

    @model_validator(mode="after")
    def _worth_something(self) -> Self:
        if not self.alpha and not self.beta:
            raise ValueError("alpha and beta must not both be 0")
        return self


@final
class Link(_Section):
    """What a synchronisation costs.

    Of k agents: ``latency · log2(k) + size / bandwidth · (1 - 1/k)``.
    """

    latency_seconds: AtLeastZero = (0.0, 0.0)
    megabytes: float = Field(default=0.0, ge=0, description="of all weights")
    megabytes_per_second: OverZero = (1000.0, 1000.0)


@final
class Law(_Section):
    """How much less an example brings at longer sync intervals and larger batches."""

    interval: tuple[IntervalForm, ...] = Field(default=("hyperbola",), min_length=1)
    batch: tuple[BatchForm, ...] = Field(default=("noise_scale",), min_length=1)
    client_drift: OverZero = (0.01, 0.01)
    noise_scale: OverZero = (4.0, 4.0)
    noise: float = Field(default=0.0, ge=0, description="of the progress that is observed")
    drift: float = Field(default=0.0, ge=0, description="of the noise scale, each round")
    growth: float = Field(default=0.0, description="of the noise scale, each round")


@final
class Choices(_Section):
    """What may be chosen from; the first of each is the plain one."""

    sync_intervals: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1,), min_length=1)
    batch_factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1.0,), min_length=1)


@final
class Heat(_Section):
    """Throttling: heat builds while an agent is busy, and a hot agent is slow until it is cool."""

    rate: float = Field(gt=0, description="heat of a round at full use beyond `above`")
    above: float = Field(default=0.8, gt=0, lt=1, description="share of use that heats nothing")
    cool: float = Field(default=0.4, ge=0, lt=1, description="heat at which it is cool again")
    slowdown: float = Field(default=3.0, ge=1, description="of a hot agent")


@final
class Failures(_Section):
    """An agent goes away without a word and comes back; rounds in the mean."""

    rounds_up: float = Field(ge=1)
    rounds_away: float = Field(default=20.0, ge=1)


@final
class AgentClass(_Section):
    """Agents of one kind; a range is drawn from for each agent, evenly in the logarithm."""

    name: str = Field(min_length=1)
    count: int = Field(default=1, ge=1, description="of such agents, in proportion to the others")
    start_seconds: AtLeastZero = Field(default=(0.0, 0.0), description="before the first example")
    seconds_per_example: OverZero
    noise: float = Field(default=0.0, ge=0, lt=1, description="deviation of the seconds' logarithm")
    drift: float = Field(default=0.0, ge=0, lt=1, description="of the logarithm, each round")
    price: AtLeastZero = Field(default=(1.0, 1.0), description="of a second")
    most_samples: int | None = Field(default=None, ge=1, description="that fit into the memory")
    knee: AtLeastOne | None = Field(default=None, description="examples beyond which it is slower")
    knee_slope: float = Field(
        default=4.0, ge=1, description="how many times slower beyond the knee"
    )
    heat: Heat | None = None
    failures: Failures | None = None


@final
class Switch(_Section):
    """From this moment some agents are slower by one of these factors."""

    at: Moment
    factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    agents: tuple[Annotated[int, Field(ge=0)], ...] = ()
    share: Share = 1.0


@final
class Swap(_Section):
    """Two agents exchange their speeds: these, or the fastest and the slowest."""

    at: Moment
    agents: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = None


@final
class Join(_Section):
    """New agents of a class."""

    at: Moment
    of: str
    count: int = Field(default=1, ge=1)


@final
class Leave(_Section):
    """Agents go, for so many rounds or, with 0, for good."""

    at: Moment
    agents: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    rounds: int = Field(default=0, ge=0)


@final
class Redraw(_Section):
    """The link and the law are drawn anew from their ranges."""

    at: Moment


@final
class Scenario(_Section):
    """A simulated world; moments (``at``) are shares of its rounds."""

    title: str = ""
    rounds: int = Field(default=300, ge=1)
    examples_per_agent: int = Field(default=128, ge=1)
    reward: Reward = Reward()
    link: Link = Link()
    law: Law | None = None
    choices: Choices = Choices()
    agents: tuple[AgentClass, ...] = Field(min_length=1)
    switch: tuple[Switch, ...] = ()
    swap: tuple[Swap, ...] = ()
    join: tuple[Join, ...] = ()
    leave: tuple[Leave, ...] = ()
    redraw: tuple[Redraw, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [each.name for each in self.agents]
        if len(set(names)) < len(names):
            raise ValueError(f"agents: two of them are called the same: {', '.join(names)}")
        for number, join in enumerate(self.join):
            if join.of not in names:
                raise ValueError(
                    f"join.{number}.of: there is no class {join.of!r}{nearest(join.of, names)}"
                )
        choices = self.choices
        if self.law is None and len(choices.sync_intervals) * len(choices.batch_factors) > 1:
            raise ValueError("choices: they need a [law] that says what they bring")
        return self

    @property
    def all_choices(self) -> tuple[Choice, ...]:
        """Every sync interval with every batch factor, the plain one first."""
        return tuple(
            Choice(sync_interval=interval, batch_factor=factor)
            for interval in self.choices.sync_intervals
            for factor in self.choices.batch_factors
        )

    def round_of(self, moment: float, rounds: int) -> int:
        """The round in which a moment lies.

        >>> read_scenario("swap").round_of(0.5, 300)
        150
        """
        return math.floor(moment * rounds + 1e-9)


def shipped() -> tuple[str, ...]:
    """The names of the scenarios that come with Paceline.

    >>> "static" in shipped()
    True
    """
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def read_scenario(place: str | Path) -> Scenario:
    """A checked scenario: a shipped one by its name, else a TOML file.

    Args:
        place: One of ``shipped()``, or a path.

    Raises:
        SettingError: There is no such file, or a key in it is unknown or its value wrong.

    >>> read_scenario("static").rounds
    300
    """
    file = SHIPPED / f"{place}.toml" if str(place) in shipped() else Path(place)
    if not file.is_file():
        what = f"{place}: there is no such file, and no scenario of that name comes with Paceline"
        raise SettingError(what + nearest(str(place), shipped()))
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"cannot read the scenario {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"the scenario {file} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"the scenario {file} is not TOML: {error}") from None
    return scenario_from(given, name=str(place))


def scenario_from(given: Mapping[str, Any], *, name: str = "scenario") -> Scenario:
    """A checked scenario from nested dictionaries.

    Args:
        given: As TOML gives them.
        name: What a message calls it.

    Raises:
        SettingError: A key is unknown (the nearest known one is named) or its value wrong.
    """
    try:
        return Scenario.model_validate(given)
    except ValidationError as error:
        raise SettingError(f"{name}: {_one_line(error)}") from None


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(each) for each in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error" and isinstance(first["input"], (dict, Scenario)):
        return f"{path}: {message}" if path else message
    if first["type"] == "missing":
        return f"{path}: is needed and missing"
    return f"{path}: {message[0].lower()}{message[1:]}, got {first['input']!r}"
