"""Each promise is seen to catch a part that breaks it, and no other promise minds that part."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from paceline.checks import check, promises, shelf_of
from paceline.controllers.reduce_on_plateau import ReduceOnPlateau
from paceline.core.readings import Steer
from paceline.models.mlp import MLP
from paceline.monitors.throughput import Throughput
from paceline.tasks.image import Image
from paceline.tasks.tensors import Tensors

_LIARS: dict[tuple[str, str], type[Any]] = {}


def _liar(part: type[Any], sentence: str, **body: Any) -> None:
    """A part that is as honest as ``part`` but for what ``body`` overrides."""
    plain = type(part.__name__, (part,), body)
    _LIARS[shelf_of(part), sentence] = plain


def _takes_any(self: Any, learning_rate: float = 0.1, **rest: Any) -> None: ...


def _then(part: type[Any], name: str, change: Any) -> dict[str, Any]:
    """Overrides a method by ``change(self, what the honest one gave, *arguments)``."""

    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        return change(self, getattr(part, name)(self, *arguments, **named), *arguments)

    return {name: method}


def _steer(**changes: Any) -> Any:
    def change(self: Any, steer: Steer, seen: Any) -> Any:
        values = {"learning_rate": steer.learning_rate, "reason": steer.reason}
        return Steer(**(values | {key: make(seen, steer) for key, make in changes.items()}))

    return change


def _monitor_liars() -> None:
    read = "read"

    def values(change: Any) -> dict[str, Any]:
        return _then(Throughput, read, lambda self, given, glimpse: change(given, glimpse))

    def mutating(given: Any, glimpse: Any) -> Any:
        object.__setattr__(glimpse, "examples", glimpse.examples + 1)
        return given

    _liar(Throughput, "gives floats", **values(lambda v, g: v | {"steps": g.step}))
    _liar(
        Throughput,
        "gives its numbers names in snake case",
        **values(lambda v, g: v | {"Steps": 1.0}),
    )
    _liar(
        Throughput,
        "reads the same from the same glimpses",
        **values(lambda v, g: v | {"chance": _drawn(g)}),
    )


_once: dict[int, float] = {}


def _drawn(glimpse: Any) -> float:
    """Depends on the seed that is set outside, but not on who asks at a time."""
    return float(torch.initial_seed() % 7)


def _controller_liars() -> None:
    plateau = ReduceOnPlateau

    def decide(**changes: Any) -> dict[str, Any]:
        return _then(plateau, "decide", _steer(**changes))

    def forgetful(self: Any, state: Any) -> None: ...

    _liar(
        plateau,
        "gives a steer with a reason in one line",
        **decide(reason=lambda seen, steer: "two\nlines"),
    )
    _liar(
        plateau,
        "keeps rates finite and not negative over a budget of steps",
        **decide(
            learning_rate=lambda seen, steer: -1.0 if seen.total_steps == 97 else 0.1,
        ),
    )
    _liar(
        plateau,
        "keeps rates finite and not negative over a budget of time",
        **decide(learning_rate=lambda seen, steer: -1.0 if seen.total_steps is None else 0.1),
    )
    _liar(
        plateau,
        "decides before any monitor has spoken",
        **decide(reason=lambda seen, steer: f"{seen.values['loss'] > 0}"),
    )
    _liar(
        plateau,
        "goes on after losses that are not finite",
        **decide(learning_rate=lambda seen, steer: seen.values.get("loss", 1.0) * 0.1),
    )
    _liar(
        plateau,
        "goes on identically from a state that went through json",
        load_state_dict=forgetful,
    )
    _liar(
        plateau,
        "decides the same for the same readings",
        **decide(learning_rate=lambda seen, steer: 0.1 + torch.initial_seed() % 7),
    )


def _model_liars() -> None:
    def output(change: Any) -> dict[str, Any]:
        return _then(MLP, "forward", change)

    def shaken(self: Any, y: Any, *inputs: Any) -> Any:
        return y + y.mean(0) if not self.training and len(y) != 1 else y

    def hurting(self: Any, y: Any, *inputs: Any) -> Any:
        inputs[0].add_(1)
        return y

    def wide(self: Any, y: Any, *inputs: Any) -> Any:
        return torch.cat([y, y], 1) if self.training else y

    def lonely(self: Any, y: Any, *inputs: Any) -> Any:
        if len(y) == 1 and not self.training:
            raise ValueError("more than one example is needed")
        return y

    def narrow(self: Any, y: Any, *inputs: Any) -> Any:
        return y / 0 if torch.is_autocast_enabled("cpu") else y

    def bytes_only(self: Any, y: Any, *inputs: Any) -> Any:
        image = inputs[0].ndim == 4 and inputs[0].is_floating_point()
        return y + 1 if image and not self.training else y

    _liar(MLP, "gives a row of outputs for each example", **output(wide))
    _liar(MLP, "leaves its inputs as they are", **output(hurting))
    _liar(MLP, "computes in mixed precision", **output(narrow))
    _liar(MLP, "takes pixels as bytes and as floats", **output(bytes_only))


def _task_liars() -> None:
    def refusing(self: Any, examples: Any) -> Any:
        if not len(examples):
            raise ValueError("nothing")
        return Tensors.encode(self, examples)

    _liar(
        Tensors,
        "gives features as rows of float32",
        **_then(Tensors, "features", lambda self, given, examples: given.astype(np.float64)),
    )
    _liar(Tensors, "encodes no examples at all", encode=refusing)
    _liar(
        Image,
        "augments the same for the same generator",
        augment=lambda self, inputs, generator: (inputs[0] + random.random(),),
    )
    _liar(
        Image,
        "keeps shapes when it augments",
        augment=lambda self, inputs, generator: (inputs[0][..., 1:],),
    )
    _liar(
        Image,
        "names a default model that takes its signature",
        default_model="tabm",
    )
    _liar(
        Tensors,
        "has defaults for any number of examples",
        defaults=lambda self, examples: {"batch_size": 0, "epochs": 1.0, "optimizer": {}},
    )


_monitor_liars()
_controller_liars()
_model_liars()
_task_liars()


@pytest.mark.parametrize(
    ("shelf", "sentence"), [pytest.param(*key, id="/".join(key)) for key in _LIARS]
)
def test_a_liar_is_caught_by_the_promise_that_it_breaks_and_by_no_other(shelf, sentence):
    part = _LIARS[shelf, sentence]
    findings = [check(each, part) for each in promises(shelf) if not each.needs_place]
    broken = {finding.promise: finding.why for finding in findings if not finding.passed}
    assert list(broken) == [sentence], broken
