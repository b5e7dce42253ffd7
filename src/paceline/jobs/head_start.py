"""Lets a fresh head over features that were trained before begin as a linear probe."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from paceline.data.base.source import Batch
from paceline.jobs.few_labels import UNKNOWN
from paceline.jobs.material import Material
from paceline.jobs.record import Record
from paceline.models.base import Headed
from paceline.train.alone import Loss
from paceline.train.precision import Precision

_MOST = 1024
_ITERATIONS = 100
_LEAST_SCALE = 1e-6


def start_head(
    material: Material, network: nn.Module, precision: Precision, record: Record
) -> None:
    """Fits the head of a ``Headed`` network to features that nobody has trained yet here.

    Of up to 1,024 training examples, in the order in which they come, and not varied. With
    features ``u`` standardised and divided by the root of their number, it is the ``W, b`` of
    least ``loss(W u + b) + |W|² / 2 n``: the likeliest under weights of mean 0 and variance 1.
    Nothing is drawn at random. Fine-tuned from a random head, features are distorted before
    the head knows what it wants of them.

    Reference:
        Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform
        Out-of-Distribution, ICLR 2022, section 3.4 (LP-FT).
    """
    if not (isinstance(network, Headed) and network.trained_before):
        return
    features, targets = _features(material, network, precision)
    if not len(targets):
        return
    before, after = _fit(network.head, features, targets, material.goal.loss)
    record.decide(
        "head",
        "linear probe",
        seen={"examples": len(targets), "loss_before": before, "loss_after": after},
        reason="its features were trained before; a head that knows nothing would spoil them",
    )


def _features(material: Material, network: Headed, precision: Precision) -> tuple[Tensor, Tensor]:
    features, targets = [], []
    training = network.training
    network.eval()
    with torch.no_grad(), precision.autocast():
        for batch in _first(material):
            features.append(network.features(*batch.inputs).float())
            targets.append(batch.targets)
    network.train(training)
    found, wanted = torch.cat(features), torch.cat(targets)
    known = (wanted != UNKNOWN) | wanted.is_floating_point()
    return found[known], wanted[known]


def _first(material: Material) -> list[Batch]:
    """The first batches of an epoch; the feed stands as before."""
    feed = material.feed
    cursor = feed.state_dict()
    count = max(1, min(_MOST, feed.examples) // feed.batch_size)
    found = [feed.next() for _ in range(count)]
    feed.load_state_dict(cursor)
    return found


def _fit(head: nn.Linear, features: Tensor, targets: Tensor, loss: Loss) -> tuple[float, float]:
    """The loss before and after; the head's weights are written over."""
    mean = features.mean(0)
    scale = features.std(0, correction=0).clamp_min(_LEAST_SCALE) * head.in_features**0.5
    ready = (features - mean) / scale
    weight = torch.zeros_like(head.weight, requires_grad=True)
    bias = torch.zeros_like(head.bias, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        search.zero_grad()
        value = loss(nn.functional.linear(ready, weight, bias), targets)
        value = value + weight.square().sum() / (2 * len(targets))
        value.backward()  # type: ignore[no-untyped-call] # torch
        return value

    with torch.no_grad():
        before = float(loss(head(features), targets))
    search.step(objective)  # type: ignore[no-untyped-call] # torch
    with torch.no_grad():
        head.weight.copy_(weight / scale)
        head.bias.copy_(bias - head.weight @ mean)
        return before, float(loss(head(features), targets))
