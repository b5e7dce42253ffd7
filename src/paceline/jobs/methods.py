"""Which trainings a comparison is made of: names, starting rates, seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from paceline.core import catalog
from paceline.core.errors import SettingError, nearest
from paceline.jobs.assemble import optimizer_names
from paceline.report.comparison import Attempt

PACES_ITSELF = ("schedule_free", "mechanic", "prodigy", "dog")
_ALIASES: Mapping[str, Mapping[str, Any]] = {
    "momentum": {"optimizer.name": "sgd", "optimizer.momentum": 0.9}
}
_MOST_RATES = 100


def names_of(kind: str, given: str | Sequence[str]) -> list[str]:
    """The names in a list, or in a text with commas between them; each of them known.

    Raises:
        SettingError: The list is empty, or a name is unknown; names the nearest one.

    >>> names_of("optimizers", "sgd, momentum,sgd")
    ['sgd', 'momentum']
    """
    words = given.split(",") if isinstance(given, str) else [str(each) for each in given]
    found = list(dict.fromkeys(word.strip().lower().replace("-", "_") for word in words))
    found = [name for name in found if name]
    if not found:
        raise SettingError(f"--{kind} is empty; name at least one, or leave it out")
    known = set(catalog.names("controllers"))
    if kind == "optimizers":
        own = set(catalog.names("optimizers")) | set(optimizer_names()) | set(_ALIASES)
        known = own | known.intersection(PACES_ITSELF)
    for name in found:
        if name not in known and ":" not in name:
            raise SettingError(f"there is no {kind[:-1]} {name!r}{nearest(name, known)}")
    return found


def rates_of(given: str | float | Sequence[float]) -> list[float]:
    """Starting rates from a list, from numbers with commas, or from a range.

    Raises:
        SettingError: Something there is not a positive number.

    >>> rates_of("1e-3, 0.01"), rates_of("1e-3..1e-2"), rates_of("1..100:2")
    ([0.001, 0.01], [0.001, 0.00316228, 0.01], [1.0, 100.0])
    """
    if isinstance(given, (int, float)):
        return [_rate(given)]
    if not isinstance(given, str):
        found = [_rate(each) for each in given]
    elif ".." in given:
        found = _range(given)
    else:
        found = [_rate(each) for each in given.split(",") if each.strip()]
    if not found:
        raise SettingError("--lr is empty; write 1e-4,1e-3,1e-2 or 1e-4..1e-1")
    return sorted(set(found))


def _rate(given: Any) -> float:
    try:
        rate = float(given)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise SettingError(
            f"--lr: {str(given).strip()!r} is no positive number; write 1e-4,1e-3,1e-2 or"
            " 1e-4..1e-1"
        )
    return rate


def _range(text: str) -> list[float]:
    ends, _, wanted = text.partition(":")
    low, high = (_rate(each) for each in ends.split("..", 1))
    if not low < high:
        raise SettingError(f"--lr {text}: the first rate must be the lower one")
    count = round(2 * math.log10(high / low)) + 1
    if wanted:
        count = int(wanted) if wanted.strip().isdigit() else 0
    if not 2 <= count <= _MOST_RATES:
        raise SettingError(f"--lr {text}: it needs from 2 to {_MOST_RATES} rates")
    power = math.log(high / low) / (count - 1)
    return [float(f"{low * math.exp(power * at):.6g}") for at in range(count)]


def methods_of(optimizers: Sequence[str], controllers: Sequence[str]) -> list[tuple[str, str]]:
    """Every optimizer with every controller; one that paces itself stands alone.

    >>> methods_of(["sgd", "prodigy"], ["constant", "cosine"])
    [('sgd', 'constant'), ('sgd', 'cosine'), ('prodigy', 'prodigy')]
    """
    return [
        (optimizer, controller)
        for optimizer in optimizers
        for controller in ([optimizer] if optimizer in PACES_ITSELF else controllers)
    ]


def attempts_of(
    methods: Sequence[tuple[str, str]], rates: Sequence[float] | None, seeds: int
) -> list[Attempt]:
    """Every training; a whole round of one seed before the next, so that each may be the last."""
    return [
        Attempt(
            optimizer=optimizer,
            controller=controller,
            rate=rate,
            seed=seed,
            state="waiting",
            run=f"runs/{_folder(optimizer, controller, rate, seed)}",
        )
        for seed in range(seeds)
        for optimizer, controller in methods
        for rate in (rates if rates is not None else [None])
    ]


def settings_of(attempt: Attempt) -> dict[str, Any]:
    """An attempt's own settings on top of the shared recipe.

    >>> adam = Attempt(optimizer="adam", controller="cosine", rate=0.1, seed=0, state="", run="")
    >>> settings_of(adam)
    {'controller.name': 'cosine', 'optimizer.name': 'adam', 'optimizer.lr': 0.1}
    """
    found: dict[str, Any] = {"controller.name": attempt.controller}
    if attempt.optimizer not in PACES_ITSELF:
        found |= _ALIASES.get(attempt.optimizer, {"optimizer.name": attempt.optimizer})
    if attempt.rate is not None:
        found["optimizer.lr"] = attempt.rate
    return found


def _folder(optimizer: str, controller: str, rate: float | None, seed: int) -> str:
    parts = [optimizer] if optimizer in PACES_ITSELF else [optimizer, controller]
    parts += [] if rate is None else [f"lr{rate:g}"]
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", "-".join([*parts, f"seed{seed}"]))
