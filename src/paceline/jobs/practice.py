"""Small trainings to practise upon: made of random numbers, different for each seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": lambda parameters, lr: SGD(parameters, lr=lr, momentum=0.9),
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Practice:
    """A training in small.

    Attributes:
        model: Its forward gives the mean loss of a batch, a scalar.
        data: Tensors whose first axis is the example; the last fifth is for ``score``.
        batch_size: Examples in a step.
    """

    model: nn.Module
    data: tuple[Tensor, ...]
    batch_size: int

    @property
    def examples(self) -> int:
        """How many there are to train on."""
        return len(self.data[0]) * 4 // 5

    def batch(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A random batch."""
        rows = torch.randint(self.examples, (self.batch_size,), generator=generator)
        return tuple(each[rows] for each in self.data)

    def score(self) -> float:
        """The mean loss of the examples that are not trained on; inf where it is not finite."""
        with torch.no_grad():
            loss = float(self.model(*(each[self.examples :] for each in self.data)))
        return loss if math.isfinite(loss) else math.inf


def make(kind: str, seed: int) -> Practice:
    """One of ``TRAINING`` or ``HELD_OUT``, its sizes, data and weights drawn by the seed.

    >>> practice = make("quadratic", 0)
    >>> round(practice.score(), 3) == round(make("quadratic", 0).score(), 3)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return (TRAINING | HELD_OUT)[kind]()


class _Supervised(nn.Module):
    """A network with its loss."""

    def __init__(self, network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss(self.network(inputs), targets)


class _Bowl(nn.Module):
    """A quadratic whose minimum lies elsewhere for each example."""

    def __init__(self, curvature: Tensor) -> None:
        super().__init__()
        self.curvature = curvature
        self.place = nn.Parameter(torch.randn(len(curvature)))

    def forward(self, minima: Tensor) -> Tensor:
        return 0.5 * (self.curvature * (self.place - minima) ** 2).sum(1).mean()


class _Factors(nn.Module):
    """A table of ratings as products of two embeddings."""

    def __init__(self, rows: int, columns: int, rank: int) -> None:
        super().__init__()
        self.rows, self.columns = nn.Embedding(rows, rank), nn.Embedding(columns, rank)
        for each in (self.rows, self.columns):
            nn.init.normal_(each.weight, std=0.3)

    def forward(self, pairs: Tensor, ratings: Tensor) -> Tensor:
        product = (self.rows(pairs[:, 0]) * self.columns(pairs[:, 1])).sum(1)
        return F.mse_loss(product, ratings)


class _Recurrent(nn.Module):
    """Tells the next number of a series."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell, self.last = nn.RNN(1, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.cell(series[:, :-1])
        return F.mse_loss(self.last(states), series[:, 1:])


def _any(low: float, high: float) -> float:
    """Between two bounds, evenly in the logarithm."""
    return low * math.exp(math.log(high / low) * float(torch.rand(())))


def _size(low: int, high: int) -> int:
    return round(_any(low, high))


def _regression() -> Practice:
    examples, inputs, width = _size(200, 1500), _size(4, 30), _size(8, 64)
    x = torch.randn(examples, inputs) * _any(0.3, 3.0)
    y = torch.tanh(x @ torch.randn(inputs, 3)) @ torch.randn(3, 1) * _any(0.3, 3.0)
    y = y + _any(0.01, 0.5) * torch.randn_like(y)
    layers: list[nn.Module] = [nn.Linear(inputs, width), nn.ReLU()]
    if torch.rand(()) < 0.5:
        layers += [nn.Linear(width, width), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(width, 1))
    return Practice(model=_Supervised(network, F.mse_loss), data=(x, y), batch_size=_size(8, 128))


def _quadratic() -> Practice:
    size = _size(5, 100)
    curvature = _any(0.1, 10.0) * torch.logspace(0, -_any(0.3, 4.0), size)
    minima = torch.randn(size) * 2 + _any(0.01, 1.0) * torch.randn(600, size)
    return Practice(model=_Bowl(curvature), data=(minima,), batch_size=_size(4, 64))


def _logistic() -> Practice:
    examples, inputs, classes = _size(300, 1500), _size(5, 60), _size(2, 8)
    x = torch.randn(examples, inputs) * torch.logspace(0, -_any(0.1, 1.5), inputs)
    wanted = x @ torch.randn(inputs, classes) + _any(0.1, 1.0) * torch.randn(examples, classes)
    network = nn.Linear(inputs, classes)
    model = _Supervised(network, F.cross_entropy)
    return Practice(model=model, data=(x, wanted.argmax(1)), batch_size=_size(8, 128))


def _factorisation() -> Practice:
    rows, columns, rank = _size(10, 60), _size(10, 60), _size(2, 8)
    truth = torch.randn(rows, rank) @ torch.randn(rank, columns) / math.sqrt(rank)
    pairs = torch.stack([torch.randint(rows, (2000,)), torch.randint(columns, (2000,))], 1)
    ratings = truth[pairs[:, 0], pairs[:, 1]] + _any(0.05, 0.5) * torch.randn(2000)
    model = _Factors(rows, columns, rank)
    return Practice(model=model, data=(pairs, ratings), batch_size=_size(16, 128))


def _spirals() -> Practice:
    arms, width = _size(2, 5), _size(16, 64)
    along, arm = torch.rand(1500), torch.randint(arms, (1500,))
    turn = 4 * along + 2 * math.pi * arm / arms
    x = torch.stack([along * turn.cos(), along * turn.sin()], 1) + 0.02 * torch.randn(1500, 2)
    network = nn.Sequential(
        nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, arms)
    )
    model = _Supervised(network, F.cross_entropy)
    return Practice(model=model, data=(2 * x, arm), batch_size=_size(16, 128))


def _deep_linear() -> Practice:
    size, depth = _size(4, 20), _size(3, 5)
    x = torch.randn(1000, size)
    y = x @ torch.randn(size, size) / math.sqrt(size) + 0.1 * torch.randn(1000, size)
    network = nn.Sequential(*(nn.Linear(size, size, bias=False) for _ in range(depth)))
    return Practice(model=_Supervised(network, F.mse_loss), data=(x, y), batch_size=_size(8, 128))


def _series() -> Practice:
    length = _size(8, 16)
    phase, speed = 6.3 * torch.rand(500, 1), 0.2 + 0.5 * torch.rand(500, 1)
    series = torch.sin(phase + speed * torch.arange(length)) + 0.05 * torch.randn(500, length)
    return Practice(
        model=_Recurrent(_size(8, 32)), data=(series[:, :, None],), batch_size=_size(8, 64)
    )


def _counts() -> Practice:
    inputs = _size(3, 20)
    x = torch.randn(1000, inputs)
    rate = (x @ (torch.randn(inputs) / math.sqrt(inputs)) + 0.5).exp()
    network = nn.Sequential(nn.Linear(inputs, _size(4, 32)), nn.GELU(), nn.LazyLinear(1))
    network(x[:1])
    model = _Supervised(network, F.poisson_nll_loss)
    return Practice(model=model, data=(x, torch.poisson(rate)[:, None]), batch_size=_size(8, 128))


TRAINING: dict[str, Callable[[], Practice]] = {
    "factorisation": _factorisation,
    "logistic": _logistic,
    "quadratic": _quadratic,
    "regression": _regression,
}
HELD_OUT: dict[str, Callable[[], Practice]] = {
    "counts": _counts,
    "deep_linear": _deep_linear,
    "series": _series,
    "spirals": _spirals,
}
