"""Each promise is seen to catch a part that breaks it, and no other promise minds that part."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paceline.checks import check, promises, shelf_of
from paceline.checks.controller import _Run
from paceline.controllers.reduce_on_plateau import ReduceOnPlateau
from paceline.core import catalog
from paceline.core.readings import Move, Steer
from paceline.data.digits import Digits
from paceline.models.mlp import MLP
from paceline.monitors.throughput import Throughput
from paceline.optimizers.lamb import LAMB
from paceline.tasks.base import Claim, Encoded
from paceline.tasks.image import Image
from paceline.tasks.tensors import Tensors

_LIARS: dict[tuple[str, str], type[Any]] = {}
# A part that cannot even be made, or whose kinds are nonsense, breaks more than one promise.
_BROAD: set[tuple[str, str]] = set()


def _liar(part: type[Any], sentence: str, **body: Any) -> None:
    """A part that is as honest as ``part`` but for what ``body`` overrides."""
    plain = type(part.__name__, (part,), body)
    _LIARS[shelf_of(part), sentence] = plain


def _broad(part: type[Any], sentence: str, **body: Any) -> None:
    _liar(part, sentence, **body)
    _BROAD.add((shelf_of(part), sentence))


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
        object.__setattr__(glimpse, "learning_rate", glimpse.learning_rate + 1)
        return given

    _liar(Throughput, "hands out values of its own", read=_shared)
    _liar(Throughput, "leaves the glimpse as it is", **values(mutating))
    _liar(
        Throughput,
        "goes on after losses that are not finite",
        **values(lambda v, g: v | ({} if g.step < 13 else _infinite())),
    )
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
        **decide(
            learning_rate=lambda seen, steer: (
                -1.0 if seen.total_steps is None and seen.progress else 0.1
            )
        ),
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
        "keeps to what it foretells",
        **decide(holds=lambda seen, steer: 3, rates=lambda seen, steer: (9.0, 9.0)),
    )
    _liar(
        plateau,
        "decides the same for the same readings",
        **decide(learning_rate=lambda seen, steer: 0.1 + torch.initial_seed() % 7),
    )


def _restless_liars() -> None:
    plateau = ReduceOnPlateau

    def decide(**changes: Any) -> dict[str, Any]:
        return _then(plateau, "decide", _steer(**changes))

    def lax(cls: Any, config: Any) -> Any:
        return cls(config["learning_rate"])

    _liar(
        plateau,
        "keeps rates finite and not negative without an end",
        **decide(
            learning_rate=lambda seen, steer: (
                -1.0 if seen.step and not seen.progress and not seen.total_steps else 0.1
            )
        ),
    )
    _liar(
        plateau,
        "multiplies rates by finite positive factors",
        **decide(factor=lambda seen, steer: 0.0),
    )
    _liar(
        plateau,
        "makes moves that are known",
        **decide(moves=lambda seen, steer: (Move("keep", ""),) if seen.remembers else ()),
    )
    _liar(
        plateau,
        "asks for batches that were seen or come next",
        **decide(batch=lambda seen, steer: seen.batch + 1 if seen.replays else None),
    )
    _liar(plateau, "tells facts that are plain floats", **decide(told=lambda s, t: {"fact": 1}))
    _liar(
        plateau,
        "does without memory where there is none",
        **decide(moves=lambda seen, steer: (Move("keep", "good"),)),
    )
    _liar(
        plateau,
        "does without old batches where there are none",
        **decide(batch=lambda seen, steer: 0),
    )
    _liar(
        plateau,
        "has a configuration of json values that makes it again",
        **_then(
            plateau, "get_config", lambda self, c: c | {"learning_rate": 2 * c["learning_rate"]}
        ),
    )
    _liar(plateau, "refuses configurations that are not its own", from_config=classmethod(lax))


def _optimizer_liars() -> None:  # noqa: C901 # one small liar after another
    def step(change: Any, before: Any = lambda self: None) -> dict[str, Any]:
        """Does something to the parameters after, or before, an honest step."""

        def liar(self: Any, closure: Any = None) -> Any:
            found = before(self)
            LAMB.step(self, closure)
            with torch.no_grad():
                change(self, found)

        return {"step": liar}

    def each(self: Any) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                yield group, parameter

    def turn(self: Any, first: bool) -> None:
        for _, p in each(self):
            if p.grad is not None and first:
                p.grad.neg_()

    def turn_first(self: Any) -> bool:
        first = not self.state
        turn(self, first)
        return first

    def places(self: Any) -> Any:
        return [p.detach().clone() for _, p in each(self)]

    def tire(self: Any, found: Any) -> None:
        for (_, p), place in zip(each(self), found, strict=True):
            if self.state.get(p, {}).get("step", 0) > 20:
                p.copy_(place)

    def drift(self: Any, found: Any) -> None:
        if not any(group["lr"] for group in self.param_groups):
            for _, p in each(self):
                p.add_(0.1)

    def touch(self: Any, found: Any) -> None:
        for _, p in each(self):
            if p.grad is None:
                p.mul_(0.9)

    def clear(self: Any, found: Any) -> None:
        for _, p in each(self):
            if p.grad is not None:
                p.grad.zero_()

    def shaken(self: Any, found: Any) -> None:
        for group, p in each(self):
            if p.grad is not None:
                p.add_(group["lr"] * 1e-3 * (torch.initial_seed() % 7))

    def together(self: Any, found: Any) -> None:
        for group, p in each(self):
            if group["foreach"] and p.grad is not None:
                p.mul_(1 - 0.1 * group["lr"])

    def hoard(self: Any, found: Any) -> None:
        self.param_groups[0]["hoard"] = torch.ones(1)

    def count(self: Any, found: Any) -> None:
        self.count = getattr(self, "count", 0) + 1
        for group, p in each(self):
            if p.grad is not None:
                p.add_(1e-4 * group["lr"] * self.count)

    def rates(change: Any) -> dict[str, Any]:
        def raise_(self: Any) -> Any:
            own = [group["lr"] for group in self.param_groups]
            for group, rate in zip(self.param_groups, change(own), strict=True):
                group["lr"] = rate
            return own

        def lower(self: Any, own: Any) -> None:
            for group, rate in zip(self.param_groups, own, strict=True):
                group["lr"] = rate

        return step(lower, raise_)

    _liar(LAMB, "lowers a quadratic in one step", **step(turn, turn_first))
    _liar(LAMB, "comes near the minimum of a quadratic", **step(tire, places))
    _liar(LAMB, "leaves everything as it is at a rate of zero", **step(drift))
    _liar(LAMB, "leaves a parameter without a gradient alone", **step(touch))
    _liar(LAMB, "leaves gradients as they are", **step(clear))
    _liar(LAMB, "steps alike for the same gradients", **step(shaken))
    _liar(LAMB, "steps alike whether or not tensors go together", **step(together))
    _liar(
        LAMB,
        "keeps tensors with their parameters and plain numbers in groups",
        **step(hoard),
    )
    _liar(LAMB, "goes on identically from its state", **step(count))
    _liar(
        LAMB,
        "gives each group its own learning rate",
        **rates(lambda own: [max(own) for _ in own]),
    )
    _liar(
        LAMB,
        "follows a learning rate that is changed",
        **rates(lambda own: [max(rate, 5e-3) if rate else 0.0 for rate in own]),
    )
    _optimizer_settings_liars()


def _optimizer_settings_liars() -> None:
    def needy(self: Any, params: Any, lr: float, memory: float) -> None: ...

    def swallow(self: Any, params: Any, lr: float = 1e-3, **rest: Any) -> None:
        LAMB.__init__(self, params, lr)

    def loose(self: Any, params: Any, lr: float = 1e-3, *, eps: float = 1e-6) -> None:
        LAMB.__init__(self, params, lr)

    def positional(self: Any, params: Any, lr: float = 1e-3, eps: float = 1e-6) -> None:
        LAMB.__init__(self, params, lr, eps=eps)

    def any_rate(self: Any, params: Any, lr: float = 1e-3) -> None:
        LAMB.__init__(self, params, abs(lr) if abs(lr) < 1 else 1.0)

    _broad(LAMB, "is made with parameters and a learning rate alone", __init__=needy)
    _broad(LAMB, "refuses unknown settings", __init__=swallow)
    _broad(LAMB, "refuses settings that are out of all range", __init__=loose)
    _broad(LAMB, "has named settings with types and defaults", __init__=positional)
    _broad(
        LAMB,
        "refuses learning rates that are negative or not finite",
        __init__=any_rate,
    )


def _model_liars() -> None:  # noqa: C901 # one small liar after another
    def output(change: Any) -> dict[str, Any]:
        return _then(MLP, "forward", change)

    def shaken(self: Any, y: Any, *inputs: Any) -> Any:
        return y + y.mean(0) if not self.training and len(y) != 1 else y

    def hurting(self: Any, y: Any, *inputs: Any) -> Any:
        if self.training:
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

    _liar(MLP, "answers each example by itself", **output(shaken))
    _liar(MLP, "answers a single example", **output(lonely))
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


def _settings_liars() -> None:  # noqa: C901 # one small liar after another
    def swallow_lr(self: Any, learning_rate: float, **rest: Any) -> None:
        ReduceOnPlateau.__init__(self, learning_rate)

    def swallow(self: Any, **rest: Any) -> None:
        Throughput.__init__(self)

    def swallow_signature(self: Any, signature: Any, **rest: Any) -> None:
        MLP.__init__(self, signature)

    def loose_lr(self: Any, learning_rate: float, *, factor: float = 0.3) -> None:
        ReduceOnPlateau.__init__(self, learning_rate)

    def loose(self: Any, *, memory: float = 20.0) -> None:
        Throughput.__init__(self)

    def loose_signature(self: Any, signature: Any, *, width: int = 8) -> None:
        MLP.__init__(self, signature, width=8)

    def positional_lr(self: Any, learning_rate: float, factor: float = 0.3) -> None:
        ReduceOnPlateau.__init__(self, learning_rate, factor=factor)

    def positional(self: Any, memory: float = 20.0) -> None:
        Throughput.__init__(self, memory=memory)

    def positional_signature(self: Any, signature: Any, width: int = 8) -> None:
        MLP.__init__(self, signature, width=width)

    def needy_lr(self: Any, learning_rate: float, factor: float) -> None: ...

    def needy(self: Any, memory: float) -> None: ...

    named = "has named settings with types and defaults"
    ranged, unknown = "refuses settings that are out of all range", "refuses unknown settings"
    for part, inits in (
        (ReduceOnPlateau, (swallow_lr, loose_lr, positional_lr)),
        (Throughput, (swallow, loose, positional)),
        (MLP, (swallow_signature, loose_signature, positional_signature)),
    ):
        for sentence, init in zip((unknown, ranged, named), inits, strict=True):
            _broad(part, sentence, __init__=init)
    _broad(ReduceOnPlateau, "is made with a learning rate alone", __init__=needy_lr)
    _broad(Throughput, "is made without arguments", __init__=needy)
    _broad(MLP, "is made from a signature alone", __init__=needy_lr)


def _state_liars() -> None:
    def counting(self: Any, given: Any, *seen: Any) -> Any:
        self._heard += 1
        return given

    def any_rate(self: Any, learning_rate: float, *, factor: float = 0.3) -> None:
        ReduceOnPlateau.__init__(self, abs(learning_rate) or 1.0, factor=factor)

    def chancy(self: Any, signature: Any) -> None:
        MLP.__init__(self, signature, width=8)
        with torch.no_grad():
            next(self.parameters()).add_(next(_COUNT))

    def idle(self: Any, signature: Any) -> None:
        MLP.__init__(self, signature, width=8)
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def secretive(self: Any, signature: Any) -> None:
        MLP.__init__(self, signature, width=8)
        self.secret = torch.rand(1)

    def learning(self: Any, signature: Any) -> None:
        MLP.__init__(self, signature, width=8)
        self.register_buffer("seen", torch.zeros(1))

    def remember(self: Any, given: Any, *inputs: Any) -> Any:
        self.seen += 1
        return given

    forward = {"__init__": secretive} | _then(MLP, "forward", lambda self, y, *x: y + self.secret)
    _liar(MLP, "answers exactly the same after safetensors", **forward)
    _liar(MLP, "has the same weights for the same seed", __init__=chancy)
    _liar(MLP, "sends a gradient to every trainable parameter", __init__=idle)
    _liar(
        MLP,
        "learns nothing in eval mode",
        **({"__init__": learning} | _then(MLP, "forward", remember)),
    )
    _broad(MLP, "says which kinds it takes", kinds="image")
    _broad(
        ReduceOnPlateau,
        "observes and decides without changing anything",
        **_then(ReduceOnPlateau, "decide", counting),
    )
    _broad(ReduceOnPlateau, "refuses learning rates that are not positive", __init__=any_rate)
    _liar(
        Throughput,
        "goes on identically from a state that went through json",
        load_state_dict=lambda self, state: None,
    )


def _more_task_liars() -> None:
    def peeking(cls: Any, corpus: Any, train: Any, goal: Any, **settings: Any) -> Any:
        made = super(_PEEKER[0], cls).from_corpus(corpus, train, goal, **settings)
        made.mean = (float(corpus.train.inputs.mean()),) * 3
        return made

    def spoiling(self: Any, given: Any, examples: Any) -> Any:
        examples.inputs[0][:1] += 1
        return given

    def inventing(self: Any, given: Any, examples: Any) -> Any:
        return type(given)(inputs=given.inputs, targets=torch.zeros(len(examples)))

    def lax(self: Any, examples: Any) -> Any:
        inputs = (torch.from_numpy(np.ascontiguousarray(examples.inputs)),)
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=inputs, targets=targets)

    def doubling(self: Any, given: Any, examples: Any) -> Any:
        return type(given)(
            inputs=(given.inputs[0].double(), *given.inputs[1:]), targets=given.targets
        )

    def forgetting(cls: Any, state: Any) -> Any:
        return Tensors.from_json({**state, "fields": state["fields"][::-1]})

    _liar(Image, "learns from the training examples alone", from_corpus=classmethod(peeking))
    _PEEKER.append(_LIARS["tasks", "learns from the training examples alone"])
    _broad(Tensors, "leaves the examples as they are", **_then(Tensors, "encode", spoiling))
    _broad(Tensors, "encodes examples without targets", **_then(Tensors, "encode", inventing))
    _liar(Image, "refuses examples that look otherwise", encode=lax)
    _liar(Tensors, "describes its tensors in its signature", **_then(Tensors, "encode", doubling))
    _broad(Tensors, "encodes the same after json", from_json=classmethod(forgetting))
    _broad(Tensors, "learns from each of its kinds", kinds=("no such kind",))
    _broad(Tensors, "has a finite loss with a gradient", from_corpus=classmethod(_lossless))
    _liar(Tensors, "claims what it learns from", claim=classmethod(lambda *_: None))
    _liar(
        Tensors,
        "claims nothing of a kind that it does not know",
        claim=classmethod(
            lambda cls, corpus, hints: Claim(strength=1.0, reason="mine", corpus=corpus)
        ),
    )
    _broad(
        Tensors,
        "measures decodes and says what its model gives",
        from_corpus=classmethod(_unmeasured),
    )


def _unmeasured(cls: Any, corpus: Any, train: Any, goal: Any, **settings: Any) -> Any:
    made = Tensors.from_corpus(corpus, train, goal)
    goal.metrics = lambda answer, target: {"score": 1.0}
    made.__class__ = cls
    return made


def _lossless(cls: Any, corpus: Any, train: Any, goal: Any, **settings: Any) -> Any:
    made = Tensors.from_corpus(corpus, train, goal)
    goal.loss = lambda output, target: (output * float("nan")).mean()
    made.__class__ = cls
    return made


def _source_liars() -> None:
    words = {"promise": "a file ending in .liar"}

    def reading(self: Any, place: Any, opening: Any) -> Any:
        raise KeyError("x")

    _liar(Digits, "says in one line what it reads", promise="two\nlines")
    _broad(Digits, "is made without arguments", __init__=lambda self, place: None)
    _liar(
        Digits,
        "recognises nothing that could be anything",
        recognises=staticmethod(lambda place: place == 3),
    )
    _liar(
        Digits,
        "refuses garbage under its own endings",
        recognises=staticmethod(lambda place: str(place).endswith(".liar")),
        read=reading,
        **words,
    )


def _place_liars() -> None:
    def changed(change: Any) -> dict[str, Any]:
        return _then(Digits, "read", lambda self, given, *rest: change(given))

    def by_bytes(self: Any, place: Any, opening: Any) -> Any:
        corpus = Digits().read("digits", opening)
        pixels = corpus.train.inputs + np.uint8(sum(place.read_bytes()) % 256)
        return replace(corpus, train=replace(corpus.train, inputs=pixels), fingerprint="0")

    def careless(self: Any, place: Any, opening: Any) -> Any:
        if place.read_bytes() != b"content":
            raise KeyError("x")
        return Digits().read("digits", opening)

    path = {
        "recognises": staticmethod(lambda place: isinstance(place, Path)),
        "read_inputs": lambda self, place, opening: Digits().read_inputs("digits", opening),
    }
    _liar(Digits, "recognises its place", recognises=staticmethod(lambda place: False))
    _liar(
        Digits,
        "gives a corpus whose first axes agree",
        **changed(lambda c: replace(c, train=replace(c.train, targets=c.train.targets[1:]))),
    )
    _liar(
        Digits,
        "reads the same twice",
        **changed(lambda c: replace(c, fingerprint=f"{next(_COUNT)}")),
    )
    _liar(Digits, "reads the inputs alone too", read_inputs=lambda self, place, opening: None)
    _liar(Digits, "changes its fingerprint with the data", read=by_bytes, **path)
    _liar(Digits, "refuses or reads whatever is cut off or flipped", read=careless, **path)


def _shared(self: Any, glimpse: Any) -> Any:
    return self.__dict__.setdefault("shared", {"loss": 1.0})


def _infinite() -> dict[str, float]:
    return {"broken": float("inf")}


_COUNT = itertools.count(1)
_PEEKER: list[Any] = []
_settings_liars()
_state_liars()
_more_task_liars()
_source_liars()
_place_liars()
_monitor_liars()
_controller_liars()
_restless_liars()
_optimizer_liars()
_model_liars()
_task_liars()


_ABOUT_PLACES = {promise.sentence for promise in promises("data") if promise.needs_place}
_ABOUT_FILES = {
    "changes its fingerprint with the data",
    "refuses or reads whatever is cut off or flipped",
}


@pytest.mark.parametrize(
    ("shelf", "sentence"), [pytest.param(*key, id="/".join(key)) for key in _LIARS]
)
def test_a_liar_is_caught_by_the_promise_that_it_breaks(shelf, sentence, tmp_path):
    place: Any = "digits"
    if sentence in _ABOUT_FILES:
        place = tmp_path / "data.liar"
        place.write_bytes(b"content")
    part = _LIARS[shelf, sentence]
    findings = [
        check(each, part, place=place)
        for each in promises(shelf)
        if not each.needs_place or sentence in _ABOUT_PLACES
    ]
    broken = {finding.promise: finding.why for finding in findings if not finding.passed}
    if (shelf, sentence) in _BROAD or sentence in _ABOUT_PLACES:
        assert sentence in broken
    else:
        assert list(broken) == [sentence], broken


def test_the_run_of_the_checks_treats_batches_moves_and_facts_as_the_loop_does():
    run = _Run(20)
    seen = []
    for steer in (
        Steer(),
        Steer(batch=0, probing=True, told={"fact": 3.0}),
        Steer(batch=1, probing=True, moves=(Move("restore", "x"),)),
        Steer(moves=(Move("restore", "x"),)),
        Steer(moves=(Move("restore", "x"),)),
        Steer(stop=True),
    ):
        expected = run.after(steer)
        run.do(steer)
        reading = run.reading()
        assert reading == expected
        seen.append((reading.step, reading.batch, reading.values["restores"]))
    # Going back to end a trial, and within one, is no way back of the run.
    assert seen == [(1, 1, 0), (2, 1, 0), (3, 2, 0), (4, 3, 0), (5, 4, 1), (6, 5, 1)]
    assert reading.values["fact"] == 3.0
    assert run.is_over


def test_every_promise_has_a_liar():
    own_files = ("learners", "policies")
    shelves = [shelf for shelf in catalog.SHELVES if shelf not in own_files]
    every = {(shelf, each.sentence) for shelf in shelves for each in promises(shelf)}
    assert every == set(_LIARS)
