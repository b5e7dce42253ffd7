"""What every network promises, for each kind of signature that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from paceline.checks.base import (
    Part,
    chance,
    expect,
    expect_named_settings,
    expect_unknown_refused,
    expect_unreal_refused,
    same,
)
from paceline.core import catalog
from paceline.core.signature import Field, Signature

_ROWS = 6
_BINS = (-2.0, -1.0, -0.25, 0.0, 0.4, 1.1, 2.0)


def says_which_kinds_it_takes(part: Part) -> None:
    kinds = getattr(part, "kinds", ())
    expect(
        isinstance(kinds, tuple) and bool(kinds) and all(isinstance(kind, str) for kind in kinds),
        f"kinds must be a tuple of names such as ('image',), got {kinds!r}",
    )
    for kind in kinds:
        _signatures(kind, 1)


def is_made_from_a_signature_alone(part: Part) -> None:
    for signature in _each(part):
        _made(part, signature)


def has_named_settings_with_types_and_defaults(part: Part) -> None:
    expect_named_settings(part, 1)


def refuses_unknown_settings(part: Part) -> None:
    expect_unknown_refused(part, next(_each(part)))


def refuses_settings_that_are_out_of_all_range(part: Part) -> None:
    expect_unreal_refused(part, next(_each(part)))


def gives_a_row_of_outputs_for_each_example(part: Part) -> None:
    for signature in (*_each(part), *_each(part, outputs=1)):
        for training in (True, False):
            output = _made(part, signature).train(training)(*_inputs(signature, _ROWS))
            _expect_rows(output, _ROWS, signature)


def answers_a_single_example(part: Part) -> None:
    for signature in _each(part):
        output = _answer(_made(part, signature), _inputs(signature, 1))
        _expect_rows(output, 1, signature)


def answers_each_example_by_itself(part: Part) -> None:
    for signature in _each(part):
        network, inputs = _made(part, signature), _inputs(signature, _ROWS)
        together = _answer(network, inputs)
        for rows in ([0, 2], [3, 1, 4]):
            alone = _answer(network, tuple(one[rows] for one in inputs))
            expect(
                torch.allclose(together[rows], alone, rtol=1e-3, atol=1e-4),
                f"in eval mode the answer to an example depends on the others ({signature.kind})",
            )


def sends_a_gradient_to_every_trainable_parameter(part: Part) -> None:
    for signature in _each(part):
        network = _made(part, signature).train()
        network(*_inputs(signature, _ROWS)).float().square().mean().backward()
        for name, parameter in network.named_parameters():
            if not parameter.requires_grad:
                continue
            gradient = parameter.grad
            expect(gradient is not None, f"{name} gets no gradient ({signature.kind})")
            finite = gradient is not None and bool(gradient.isfinite().all())
            expect(finite, f"the gradient of {name} is not finite ({signature.kind})")


def has_the_same_weights_for_the_same_seed(part: Part) -> None:
    for signature in _each(part):
        first, second = (_made(part, signature).state_dict() for _ in range(2))
        expect(same(dict(first), dict(second)), f"weights differ ({signature.kind})")


def answers_exactly_the_same_after_safetensors(part: Part) -> None:
    for signature in _each(part):
        network, inputs = _made(part, signature), _inputs(signature, _ROWS)
        network.train()(*inputs)
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        other = _made(part, signature, seed=1)
        other.load_state_dict(load(save(weights)))
        expect(
            same(_answer(network, inputs), _answer(other, inputs)),
            f"the loaded network answers otherwise ({signature.kind})",
        )


def takes_pixels_as_bytes_and_as_floats(part: Part) -> None:
    for signature in _each(part):
        if signature.kind != "image":
            continue
        network, (pixels,) = _made(part, signature), _inputs(signature, _ROWS)
        plain = _answer(network, (pixels,))
        for other in (pixels.float(), pixels.contiguous(memory_format=torch.channels_last)):
            expect(
                torch.allclose(plain, _answer(network, (other,)), rtol=1e-3, atol=1e-4),
                "pixels as floats or channels last are answered otherwise than as bytes",
            )


def computes_in_mixed_precision(part: Part) -> None:
    for signature in _each(part):
        network = _made(part, signature).train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = network(*_inputs(signature, _ROWS))
        expect(bool(output.isfinite().all()), f"bf16 gives nan or inf ({signature.kind})")


def leaves_its_inputs_as_they_are(part: Part) -> None:
    for signature in _each(part):
        inputs = _inputs(signature, _ROWS)
        given = tuple(one.float() if signature.kind == "image" else one.clone() for one in inputs)
        before = tuple(one.clone() for one in given)
        _made(part, signature).train()(*given)
        expect(same(before, given), f"forward changed its inputs ({signature.kind})")


def learns_nothing_in_eval_mode(part: Part) -> None:
    for signature in _each(part):
        network = _made(part, signature)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        _answer(network, _inputs(signature, _ROWS))
        expect(
            same(before, dict(network.state_dict())),
            f"an answer in eval mode changed the network's state ({signature.kind})",
        )


def _expect_rows(output: Any, rows: int, signature: Signature) -> None:
    expect(isinstance(output, Tensor), f"forward gave a {type(output).__name__}, not a tensor")
    plain = output.ndim in (2, 3) or signature.kind not in _KNOWN
    fits = (
        plain
        and output.shape[0] == rows
        and output.shape[-1] == signature.outputs
        and output.is_floating_point()
    )
    expect(
        fits,
        f"{signature.kind}: the output must be float [{rows}, {signature.outputs}] or"
        f" [{rows}, members, {signature.outputs}], got {output.dtype} {list(output.shape)}",
    )


def _made(part: Part, signature: Signature, *, seed: int = 0) -> Any:
    with chance(seed):
        return part(signature)


def _answer(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    network.eval()
    with torch.no_grad():
        answer: Tensor = network(*inputs)
    return answer


def _each(part: Part, outputs: int = 3) -> Iterator[Signature]:
    for kind in part.kinds:
        yield from _signatures(kind, outputs)


def _signatures(kind: str, outputs: int) -> list[Signature]:
    if kind in _KNOWN:
        return [Signature(kind=kind, inputs=fields, outputs=outputs) for fields in _KNOWN[kind]()]
    learnt = list(_learnt(kind))
    expect(bool(learnt), f"no task on the shelf has a signature of the kind {kind!r}")
    return [signature for signature, _ in learnt]


def _learnt(kind: str) -> Iterator[tuple[Signature, tuple[Tensor, ...]]]:
    """Signatures of the tasks that bring examples of their own, with encoded examples."""
    for _, task in catalog.parts("tasks"):
        for corpus, train in task.samples(0):
            goal = task.find_goal(replace(corpus, train=train), None, {})
            made = task.from_corpus(corpus, train, goal)
            if made.signature().kind == kind:
                yield made.signature(), made.encode(train).inputs


def _images() -> list[tuple[Field, ...]]:
    return [
        (
            Field(
                name="image",
                shape=(channels, height, width),
                dtype="uint8",
                mean=(120.0,) * channels,
                scale=(60.0,) * channels,
            ),
        )
        for channels, height, width in ((1, 8, 8), (3, 13, 10))
    ]


def _tables() -> list[tuple[Field, ...]]:
    numeric = Field(
        name="numeric",
        shape=(3,),
        dtype="float32",
        mean=(0.0, 1.0, -1.0),
        scale=(1.0, 2.0, 0.5),
        bins=(_BINS,) * 3,
    )
    category = Field(name="category", shape=(2,), dtype="int64", cardinalities=(3, 5))
    return [(numeric, category), (numeric,), (category,)]


def _tensors() -> list[tuple[Field, ...]]:
    def numbers(*shape: int) -> Field:
        size = shape[0]
        return Field(
            name="input", shape=shape, dtype="float32", mean=(0.5,) * size, scale=(2.0,) * size
        )

    whole = Field(name="whole", shape=(3,), dtype="int64")
    single = Field(name="single", shape=(), dtype="float32")
    return [(numbers(4),), (numbers(2, 5), numbers(3)), (numbers(4), whole), (whole,), (single,)]


_KNOWN = {"image": _images, "table": _tables, "tensors": _tensors}


def _inputs(signature: Signature, rows: int) -> tuple[Tensor, ...]:
    """The same every time: what a task would hand over for some examples."""
    for known, inputs in _learnt(signature.kind) if signature.kind not in _KNOWN else ():
        if known == signature:
            return tuple(one[:rows] for one in inputs)
    generator = torch.Generator().manual_seed(rows)
    return tuple(_input(field, rows, generator) for field in signature.inputs)


def _input(field: Field, rows: int, generator: torch.Generator) -> Tensor:
    shape = (rows, *field.shape)
    if field.dtype == "uint8":
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    if field.cardinalities:
        columns = [
            torch.randint(0, count, (rows,), generator=generator) for count in field.cardinalities
        ]
        return torch.stack(columns, 1)
    if field.dtype == "int64":
        return torch.randint(-5, 6, shape, generator=generator)
    return torch.randn(shape, generator=generator)
