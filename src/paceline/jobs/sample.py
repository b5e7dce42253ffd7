"""Writes on with a trained language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from paceline.core.errors import DataError, RunError, SettingError
from paceline.jobs.run import Run
from paceline.tasks.base.next_token import NextToken
from paceline.tasks.base.vocabulary import UNKNOWN

_SHOWN = 10


def sample(
    run: Run,
    prompt: str = "",
    *,
    tokens: int = 300,
    temperature: float = 0.8,
    top_k: int | None = None,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> str:
    """Text that a language model draws, token by token, after a prompt.

    Args:
        run: Trained on text.
        prompt: What stands before; left out, the beginning of a line.
        tokens: How many are drawn, at least 1.
        temperature: Outputs are divided by it before the softmax; 0 takes the likeliest.
        top_k: Draws among so many of the likeliest alone.
        seed: The same one draws the same text.
        tell: Called with each new piece of text.

    Returns:
        What comes after the prompt.

    Raises:
        DataError: The prompt has characters that the model never saw.
        RunError: The run is not of text.
        SettingError: A setting is out of range.
    """
    if not isinstance(run.goal, NextToken):
        raise RunError(f"{run.path} is a run of {run.goal.name}; only language runs write text")
    _check(tokens, temperature, top_k)
    goal = run.goal
    unseen = goal.vocabulary.unseen(prompt)
    if unseen:
        shown = ", ".join(map(repr, unseen[:_SHOWN])) + (", …" if len(unseen) > _SHOWN else "")
        raise DataError(f"the prompt has characters that the model never saw: {shown}")
    begun = _begin(goal, prompt)
    chance = torch.Generator().manual_seed(seed)
    ids = list(goal.vocabulary.encode(begun))
    written = ""
    for count, token in enumerate(_drawn(run, goal, ids, temperature, top_k, chance), 1):
        ids.append(token)
        # Pieces of a character's bytes become one only when all are there.
        grown = goal.vocabulary.decode(ids[-count:])
        if tell is not None and not grown.endswith("\N{REPLACEMENT CHARACTER}"):
            tell(grown[len(written) :])
            written = grown
        if count == tokens:
            break
    return goal.vocabulary.decode(ids[-tokens:])


def _begin(goal: NextToken, prompt: str) -> str:
    if prompt:
        return prompt
    pieces = [goal.vocabulary.decode([each]) for each in range(UNKNOWN + 1, goal.outputs)]
    return "\n" if "\n" in pieces else pieces[0]


def _drawn(
    run: Run,
    goal: NextToken,
    ids: list[int],
    temperature: float,
    top_k: int | None,
    chance: torch.Generator,
) -> Iterator[int]:
    """Token after token, each of those in ``ids``, which the caller makes longer."""
    network = run.model
    device = next(network.parameters()).device
    window = torch.zeros(1, goal.context, dtype=torch.int64)
    while True:
        last = ids[-goal.context :]
        window.zero_()
        window[0, : len(last)] = torch.tensor(last)
        with torch.no_grad():
            output = network(window.to(device))[0, -1].double().cpu()
        output = output.index_fill(0, torch.arange(UNKNOWN + 1), -torch.inf)
        yield _draw(output, temperature, top_k, chance)


def _draw(output: Tensor, temperature: float, top_k: int | None, chance: torch.Generator) -> int:
    """One token by its outputs [tokens].

    >>> _draw(torch.tensor([0.0, 2.0, 1.0]), 0.0, None, torch.Generator())
    1
    """
    if temperature == 0:
        return int(output.argmax())
    if top_k is not None and top_k < len(output):
        least = output.topk(top_k).values[-1]
        output = output.masked_fill(output < least, -torch.inf)
    return int(torch.multinomial((output / temperature).softmax(-1), 1, generator=chance))


def _check(tokens: int, temperature: float, top_k: int | None) -> None:
    if tokens < 1:
        raise SettingError(f"tokens must be at least 1, got {tokens}")
    if not 0 <= temperature < float("inf"):
        raise SettingError(f"temperature must be at least 0, got {temperature:g}")
    if top_k is not None and top_k < 1:
        raise SettingError(f"top-k must be at least 1, got {top_k}")
