"""The linear chain, with all sequences counted one by one as its slow twin."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from paceline.tasks.base.crf import IGNORED, Rules, best_tags, negative_log_likelihood

SIZE = 3
FREE = Rules.of(*(torch.ones(shape, dtype=torch.bool) for shape in ((SIZE,), (SIZE,) * 2, (SIZE,))))
# The last tag may not begin, not follow the first, and the middle one may not end.
BOUND = Rules.of(
    torch.tensor([True, True, False]),
    torch.tensor([[True, True, False], [True, True, True], [True, True, True]]),
    torch.tensor([True, False, True]),
)
rules = st.sampled_from([FREE, BOUND])
lengths = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def chain(lengths: list[int], seed: int) -> tuple[Tensor, Tensor]:
    """Random potentials, marked beyond each sentence, and allowed tags."""
    random = torch.Generator().manual_seed(seed)
    potentials = torch.randn(len(lengths), 5, SIZE, SIZE, generator=random, dtype=torch.float64)
    tags = torch.full((len(lengths), 5), IGNORED)
    for row, length in enumerate(lengths):
        potentials[row, length:] = -1e6
        tags[row, :length] = 0
    return potentials, tags


def score(potentials: Tensor, tags: tuple[int, ...], rules: Rules) -> float:
    total = float(potentials[0, 0, tags[0]] + rules.begin[tags[0]] + rules.end[tags[-1]])
    for at in range(1, len(tags)):
        pair = tags[at - 1], tags[at]
        total += float(potentials[at][pair] + rules.follow[pair])
    return total


def everything(potentials: Tensor, length: int, rules: Rules) -> dict[tuple[int, ...], float]:
    return {
        tags: score(potentials, tags, rules)
        for tags in itertools.product(range(SIZE), repeat=length)
    }


@given(lengths, st.integers(0, 99), rules)
@settings(max_examples=25, deadline=None)
def test_the_likelihood_is_the_share_of_one_sequence_among_all(lengths, seed, rules):
    potentials, tags = chain(lengths, seed)
    losses = negative_log_likelihood(potentials, tags, rules)
    for row, length in enumerate(lengths):
        all_scores = everything(potentials[row], length, rules)
        total = torch.tensor(list(all_scores.values()), dtype=torch.float64).logsumexp(0)
        wanted = float(total) - all_scores[(0,) * length]
        assert float(losses[row]) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@given(lengths, st.integers(0, 99), rules)
@settings(max_examples=25, deadline=None)
def test_the_best_tags_are_the_best_of_all(lengths, seed, rules):
    potentials, _ = chain(lengths, seed)
    found = best_tags(potentials, rules)
    for row, length in enumerate(lengths):
        all_scores = everything(potentials[row], length, rules)
        assert tuple(found[row, :length].tolist()) == max(all_scores, key=all_scores.__getitem__)
        assert (found[row, length:] == IGNORED).all()


def test_the_gradient_is_that_of_finite_differences():
    potentials, tags = chain([2, 1], 0)
    potentials, tags = potentials[:, :3].clamp_min(-5).requires_grad_(), tags[:, :3]
    assert torch.autograd.gradcheck(lambda p: negative_log_likelihood(p, tags, BOUND), potentials)


def test_a_sentence_without_words_costs_nothing_and_has_no_tags():
    potentials, tags = torch.full((2, 3, SIZE, SIZE), -1e6), torch.full((2, 3), IGNORED)
    assert negative_log_likelihood(potentials, tags, FREE).tolist() == [0, 0]
    assert (best_tags(potentials, FREE) == IGNORED).all()
    potentials[0, 0], tags[0, 0] = 0.0, 1
    losses = negative_log_likelihood(potentials, tags, FREE)
    assert losses[0] == pytest.approx(1.0986, abs=1e-4) and losses[1] == 0


def test_no_gradient_is_nan_beyond_a_sentence():
    potentials, tags = chain([1, 4], 1)
    potentials.requires_grad_()
    negative_log_likelihood(potentials, tags, BOUND).sum().backward()
    assert potentials.grad.isfinite().all() and (potentials.grad[0, 1:] == 0).all()
