"""What every task promises, for each kind of corpus that it learns from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paceline.checks.base import Part, chance, expect, expect_refusal, same, through_json
from paceline.core import catalog
from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples
from paceline.tasks.base import Classification, Goal, Regression, Task, find_goal

_ROWS = 40
_TRAINED_ON = np.arange(30)
_REQUIRED_DEFAULTS = ("batch_size", "epochs", "optimizer")


def learns_from_each_of_its_kinds(part: Part) -> None:
    kinds = getattr(part, "kinds", ())
    expect(
        isinstance(kinds, tuple) and bool(kinds) and all(isinstance(kind, str) for kind in kinds),
        f"kinds must be a tuple of names such as ('image',), got {kinds!r}",
    )
    for task, _ in _each(part):
        expect(isinstance(task, part), f"from_corpus gave a {type(task).__name__}")


def names_a_default_model_that_takes_its_signature(part: Part) -> None:
    for task, _ in _each(part):
        model, kind = catalog.find("models", task.default_model), task.signature().kind
        expect(kind in model.kinds, f"{task.default_model} takes {model.kinds}, not {kind}")


def describes_its_tensors_in_its_signature(part: Part) -> None:
    for task, train in _each(part):
        signature, inputs = task.signature(), task.encode(train).inputs
        expect(signature.outputs == task.goal.outputs, "outputs are not the goal's")
        found = [(tuple(one.shape), str(one.dtype).removeprefix("torch.")) for one in inputs]
        wanted = [((len(train), *field.shape), field.dtype) for field in signature.inputs]
        expect(found == wanted, f"encode gives {found}, the signature says {wanted}")
        for field in signature.inputs:
            if len(field.cardinalities) == 1:
                codes = inputs[signature.inputs.index(field)]
                inside = int(codes.min()) >= 0 and int(codes.max()) < field.cardinalities[0]
                expect(inside, f"{field.name} has codes beyond its {field.cardinalities[0]}")
            expect(
                all(scale > 0 and math.isfinite(scale) for scale in field.scale),
                f"{field.name}: a scale is not a positive number: {field.scale}",
            )


def encodes_the_same_after_json(part: Part) -> None:
    for task, train in _each(part):
        state = task.to_json()
        other = part.from_json(through_json(state, part.__name__))
        expect(
            same(through_json(other.to_json(), part.__name__), through_json(state, part.__name__)),
            "to_json is not what from_json was given",
        )
        expect(task.signature() == other.signature(), "the signature changed on its way")
        _expect_same_encoding(task, other, train)


def learns_from_the_training_examples_alone(part: Part) -> None:
    for first, second in zip(_samples(part, 1), _samples(part, 2), strict=True):
        states = [part.from_corpus(*sample).to_json() for sample in (first, second)]
        expect(same(*states), f"held-out examples changed what was learnt ({first[0].kind})")


def claims_what_it_learns_from(part: Part) -> None:
    for corpus, *_ in _samples(part, 0):
        claim = part.claim(corpus, {})
        expect(claim is not None, f"it does not claim data of its own kind, {corpus.kind}")
        if claim is not None:
            fits = 0 <= claim.strength <= 1 and bool(claim.reason) and "\n" not in claim.reason
            expect(fits, f"a claim of strength {claim.strength} because {claim.reason!r}")


def claims_nothing_of_a_kind_that_it_does_not_know(part: Part) -> None:
    for corpus, *_ in _samples(part, 0):
        expect(part.claim(replace(corpus, kind="unheard"), {}) is None, "it claims anything")


def leaves_the_examples_as_they_are(part: Part) -> None:
    for task, train in _each(part):
        before = _copied(train)
        first = task.encode(train)
        if _has_features(part):
            task.features(train)
        _vary(task, first.inputs, seed=0)
        expect(_same_examples(before, train), "encoding or augmenting changed the examples")
        _expect_same_encoding(task, task, train)


def encodes_examples_without_targets(part: Part) -> None:
    for task, train in _each(part):
        encoded = task.encode(replace(train, targets=None))
        expect(encoded.targets is None, "there are targets where there were none")
        expect(len(encoded) == len(train), f"{len(train)} examples became {len(encoded)}")


def encodes_no_examples_at_all(part: Part) -> None:
    for task, train in _each(part):
        nothing = train.take(np.arange(0))
        expect(len(task.encode(nothing)) == 0, "no examples became some")
        if _has_features(part):
            expect(len(task.features(nothing)) == 0, "no examples have features")


def refuses_examples_that_look_otherwise(part: Part) -> None:
    for task, train in _each(part):
        for what, other in _otherwise(train):
            expect_refusal(partial(task.encode, other), DataError, what)


def gives_features_as_rows_of_float32(part: Part) -> None:
    for task, train in _each(part) if _has_features(part) else ():
        features = task.features(train)
        fits = features.ndim == 2 and len(features) == len(train)
        expect(
            fits and features.dtype == np.float32,
            f"features must be float32 [{len(train)}, columns], got {features.dtype}"
            f" {list(features.shape)}",
        )
        expect(not np.isinf(features).any(), "features are infinite; nan means missing")


def has_a_finite_loss_with_a_gradient(part: Part) -> None:
    for task, train in _each(part):
        encoded = task.encode(train)
        for shape in _output_shapes(task, encoded.inputs):
            output = torch.zeros(shape, requires_grad=True)
            loss = task.goal.loss(output, encoded.targets)
            expect(loss.ndim == 0 and bool(loss.isfinite()), f"the loss of {shape} is {loss}")
            loss.backward()
            gradient = output.grad
            finite = gradient is not None and bool(gradient.isfinite().all())
            expect(finite, f"the loss of {shape} has no finite gradient")


def measures_decodes_and_says_what_its_model_gives(part: Part) -> None:
    for task, train in _each(part):
        encoded = task.encode(train)
        output = torch.zeros(_output_shapes(task, encoded.inputs)[0])
        measured = task.goal.metrics(task.goal.judged(output, encoded.targets), encoded.targets)
        expect({"loss", task.goal.primary} <= set(measured), f"metrics {list(measured)}")
        said = task.goal.says(task.goal.answer(output))
        lengths = {name: len(column) for name, column in said.items()}
        expect("prediction" in said, "it says no prediction")
        expect(set(lengths.values()) == {len(train)}, f"{len(train)} examples, said {lengths}")
        through_json(said, part.__name__)


def augments_the_same_for_the_same_generator(part: Part) -> None:
    for task, train in _each(part):
        inputs = task.encode(train).inputs
        first, second = (_vary(task, inputs, seed=3) for _ in range(2))
        expect(same(first, second), "the same state of the generator gave other variations")


def keeps_shapes_when_it_augments(part: Part) -> None:
    for task, train in _each(part):
        inputs = task.encode(train).inputs
        for varied in (_vary(task, inputs, seed=seed) for seed in range(2)):
            wanted = [list(one.shape) for one in inputs]
            found = [list(one.shape) for one in varied]
            expect(found == wanted, f"augmenting made {found} of {wanted}")
            finite = all(bool(one.isfinite().all()) for one in varied if one.is_floating_point())
            expect(finite, "augmenting gave nan or inf")


def has_defaults_for_any_number_of_examples(part: Part) -> None:
    task, _ = next(_each(part))
    for examples in (1, 10, 1000, 10**6):
        defaults = task.defaults(examples)
        for name in _REQUIRED_DEFAULTS:
            expect(name in defaults, f"there is no default {name} for {examples} examples")
        size, epochs = defaults["batch_size"], defaults["epochs"]
        expect(isinstance(size, int) and size >= 1, f"a batch size of {size}")
        expect(math.isfinite(epochs) and epochs > 0, f"{epochs} epochs")
        expect("name" in defaults["optimizer"], "the default optimizer has no name")


def _each(part: Part) -> Iterator[tuple[Any, Examples]]:
    """A task of each kind and goal, with the examples that it learnt from."""
    for corpus, train, goal in _samples(part, 0):
        yield part.from_corpus(corpus, train, goal), train


def _samples(part: Part, held_out: int) -> Iterator[tuple[Corpus, Examples, Goal]]:
    """Corpora of its own, or of the kinds that are known here."""
    own = list(part.samples(held_out))
    for corpus, train in own:
        yield corpus, train, part.find_goal(replace(corpus, train=train), None, {})
    if own:
        return
    for kind in part.kinds:
        for goal in _goals():
            corpus, train = _corpus(kind, goal.name, held_out=held_out)
            yield corpus, train, goal


def _has_features(part: Part) -> bool:
    return part.features is not Task.features


def _model_of(task: Any) -> Any:
    with chance(0):
        return catalog.find("models", task.default_model)(task.signature()).eval()


def _output_shapes(task: Any, inputs: tuple[Tensor, ...]) -> list[tuple[int, ...]]:
    if isinstance(task.goal, (Classification, Regression)):
        rows, outputs = len(inputs[0]), task.goal.outputs
        return [(rows, outputs), (rows, 4, outputs)]
    return [tuple(_model_of(task)(*inputs).shape)]


def _goals() -> list[Goal]:
    return [find_goal(_targets(name)[_TRAINED_ON]) for name in ("classification", "regression")]


def _targets(goal_name: str) -> np.ndarray[Any, Any]:
    rows = np.arange(_ROWS)
    if goal_name == "regression":
        return np.sin(rows) * 3 + 1
    return np.array(["yes", "no", "it depends"], dtype=object)[rows % 3]


def _corpus(kind: str, goal_name: str, *, held_out: int = 0) -> tuple[Corpus, Examples]:
    """A corpus and its training examples; ``held_out`` changes the other examples only."""
    known = {"image": _images, "table": _tables, "tensors": _tensors}
    expect(kind in known, f"there are examples to try of {', '.join(known)}, not of {kind!r}")
    targets = _targets(goal_name)
    everything = Examples(inputs=known[kind](held_out), targets=targets)
    train = everything.take(_TRAINED_ON)
    rest = everything.take(np.arange(len(_TRAINED_ON), _ROWS))
    corpus = Corpus(
        name="synthetic",
        kind=kind,
        train=everything,
        validation=rest,
        test=rest,
        fingerprint="0",
        facts={"target": "target"},
    )
    return corpus, train


def _chance(held_out: int) -> tuple[np.random.Generator, np.random.Generator]:
    return np.random.default_rng(0), np.random.default_rng(held_out)


def _joined(shape: tuple[int, ...], held_out: int) -> np.ndarray[Any, Any]:
    """Noise whose rows after the training rows depend on ``held_out``."""
    first, second = _chance(held_out)
    rest = 5.0 * held_out + second.normal(size=(_ROWS - len(_TRAINED_ON), *shape))
    return np.concatenate([first.normal(size=(len(_TRAINED_ON), *shape)), rest])


def _images(held_out: int) -> np.ndarray[Any, Any]:
    pixels: np.ndarray[Any, Any] = np.clip(_joined((3, 8, 10), held_out) * 50 + 120, 0, 255)
    return pixels.astype(np.uint8)


def _tensors(held_out: int) -> tuple[np.ndarray[Any, Any], ...]:
    numbers = _joined((2, 3), held_out)
    whole = (_joined((4,), held_out) * 5).astype(np.int64)
    return numbers.astype(np.float32), whole, numbers[:, 0, 0]


def _tables(held_out: int) -> Any:
    import pandas

    numbers = _joined((2,), held_out)
    gaps = np.where(np.arange(_ROWS) % 7 == 0, np.nan, numbers[:, 1])
    letters = np.array(["red", "green", "blue", None], dtype=object)
    late = np.arange(_ROWS) >= len(_TRAINED_ON)
    words = np.where(late & bool(held_out), f"new {held_out}", letters[np.arange(_ROWS) % 4])
    return pandas.DataFrame(
        {"width": numbers[:, 0], "gaps": gaps, "colour": words, "count": np.arange(_ROWS) % 5}
    )


def _vary(task: Any, inputs: tuple[Tensor, ...], *, seed: int) -> tuple[Tensor, ...]:
    varied: tuple[Tensor, ...] = task.augment(inputs, torch.Generator().manual_seed(seed))
    return varied


def _expect_same_encoding(one: Any, other: Any, examples: Examples) -> None:
    first, second = one.encode(examples), other.encode(examples)
    expect(
        same(first.inputs, second.inputs) and same(first.targets, second.targets),
        "the same examples are encoded otherwise the second time",
    )


def _copied(examples: Examples) -> Examples:
    return examples.take(np.arange(len(examples)))


def _same_examples(one: Examples, other: Examples) -> bool:
    left, right = (
        each.inputs if isinstance(each.inputs, tuple) else (each.inputs,) for each in (one, other)
    )
    return len(left) == len(right) and all(map(_same_part, left, right))


def _same_part(one: Any, other: Any) -> bool:
    if hasattr(one, "iloc"):
        return bool(one.equals(other))
    if one.dtype == object:
        pairs = zip(one.tolist(), other.tolist(), strict=True)
        return len(one) == len(other) and all(np.array_equal(left, right) for left, right in pairs)
    return one.dtype == other.dtype and np.array_equal(one, other)


def _otherwise(train: Examples) -> Iterator[tuple[str, Examples]]:
    """Examples of another shape, with columns missing, or with too few arrays."""
    inputs = train.inputs
    if hasattr(inputs, "iloc"):
        yield "a table without its first column", replace(train, inputs=inputs.iloc[:, 1:])
    elif isinstance(inputs, np.ndarray) and inputs.dtype == object:
        yield "numbers", replace(train, inputs=np.arange(len(inputs)))
    elif isinstance(inputs, tuple):
        smaller = (inputs[0][..., :-1], *inputs[1:])
        yield "an array of another shape", replace(train, inputs=smaller)
        yield "one array too few", replace(train, inputs=inputs[:-1])
        yield "one array too many", replace(train, inputs=(*inputs, inputs[0]))
    else:
        yield "images of another size", replace(train, inputs=inputs[..., :-1])
