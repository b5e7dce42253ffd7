"""Twelve small real tasks on which a learning rate can be chosen well or badly.

    python benchmarks/workloads.py            # one line each: parameters, time of a step

Each is a network, real data and a loss, small enough that a step takes about a millisecond
on one core, with data enough that nothing is learnt by heart within the long budget. Batch
``i`` of a seed is a function of both, so it can be replayed. Some losses and inputs are
multiplied by a constant that was drawn once: whoever chooses a rate must not rely on units.
Constants of a method may be chosen on the six `development` workloads only; the others are
its test.
"""

from __future__ import annotations

import csv
import gzip
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from harness import data_folder
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

Batch = tuple[Tensor, Tensor]
Make = Callable[[Iterable[nn.Parameter], float], Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda parameters, lr: SGD(parameters, lr=lr),
    "momentum": lambda parameters, lr: SGD(parameters, lr=lr, momentum=0.9),
    "adagrad": lambda parameters, lr: Adagrad(parameters, lr=lr),
    "adadelta": lambda parameters, lr: Adadelta(parameters, lr=lr),
    "rmsprop": lambda parameters, lr: RMSprop(parameters, lr=lr),
    "adam": lambda parameters, lr: Adam(parameters, lr=lr),
    "adamw": lambda parameters, lr: AdamW(parameters, lr=lr),
}
"""Torch's own, with torch's default settings but for the rate (and momentum's 0.9)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """Inputs and targets to learn from, and those held out; first axis = example."""

    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor

    @classmethod
    def divided(cls, x: Tensor, y: Tensor, held: int) -> Examples:
        """A fixed random division with ``held`` examples held out."""
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        kept, out = order[held:], order[:held]
        return cls(x=x[kept], y=y[kept], held_x=x[out], held_y=y[out])


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A task, its network and two budgets.

    Args:
        steps: The short budget, in updates.
        long_steps: The long one.
        network: Makes the model; called with torch's generator seeded.
        examples: Loads the data (once; cached).
        criterion: ``(output, target) → mean loss``.
        penalty: Weight of the mean square of the output's second part, where there is one.
        loss_scale: The constant, drawn once, that multiplies the loss.
        input_scale: Another that multiplies the inputs.
        vary: Augmentation, ``(x, generator) → x``.
        changes: Whether inputs and labels are permuted from the half of the budget on.
        development: Whether constants may be chosen on it.
    """

    name: str
    steps: int
    long_steps: int
    network: Callable[[], nn.Module]
    examples: Callable[[], Examples]
    criterion: Callable[[Tensor, Tensor], Tensor]
    batch_size: int = 32
    loss_scale: float = 1.0
    input_scale: float = 1.0
    vary: Callable[[Tensor, torch.Generator], Tensor] | None = None
    changes: bool = False
    development: bool = False

    def model(self, seed: int) -> nn.Module:
        """A fresh network; torch's global generator is left as it was."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.network()

    def batch(self, seed: int, index: int, steps: int) -> Batch:
        """Batch ``index`` of a run of ``steps``: the same for the same arguments."""
        data = self.examples()
        chance = torch.Generator().manual_seed(1_000_003 * (seed + 1) + index)
        chosen = torch.randint(len(data.x), (self.batch_size,), generator=chance)
        x, y = data.x[chosen], data.y[chosen]
        if self.vary is not None:
            x = self.vary(x, chance)
        return self._presented((x, y), permuted=self.changes and index >= steps / 2)

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """The batches of a run of ``steps``, and more of the last kind after it."""
        index = 0
        while True:
            yield self.batch(seed, index, steps)
            index += 1

    def loss(self, model: Callable[[Tensor], Tensor], batch: Batch) -> Tensor:
        """The scaled mean loss of a batch."""
        return self.loss_scale * self.criterion(model(batch[0]), batch[1])

    def held_out(self) -> Batch:
        """The fixed examples of the validation, as they are at the end of a run."""
        data = self.examples()
        return self._presented((data.held_x, data.held_y), permuted=self.changes)

    def validation(self, model: nn.Module) -> float:
        """The scaled mean loss over the held-out examples, in evaluation mode."""
        training = model.training
        model.eval()
        with torch.no_grad():
            loss = self.loss(model, self.held_out()).item()
        model.train(training)
        return loss

    def _presented(self, batch: Batch, *, permuted: bool) -> Batch:
        x, y = batch
        if permuted:
            x, y = x[:, _permutation(x.shape[1])], _permutation(10)[y]
        return (x * self.input_scale if self.input_scale != 1.0 else x), y


@cache
def _permutation(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(n))


# ---------------------------------------------------------------- networks


def perceptron(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    """Fully connected layers of these widths, with an activation between."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def convolutions() -> nn.Module:
    """Two strided convolutions with batch norm, averaged over the place."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 14, 14)),
        nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 16, 10),
    )


class Recurrent(nn.Module):
    """A gated recurrent unit over characters, written out so that vmap can take it."""

    def __init__(self, symbols: int = 65, width: int = 32) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(symbols, 16)
        self.entering = nn.Linear(16, 3 * width)
        self.recurring = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, symbols)
        for weight in (*self.entering.parameters(), *self.recurring.parameters()):
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        entering = self.entering(self.embedding(tokens))
        state = entering.new_zeros(len(tokens), self.width)
        states: list[Tensor] = []
        for now in entering.unbind(1):
            gates, candidate = self.recurring(state).tensor_split((2 * self.width,), dim=1)
            reset, keep = torch.sigmoid(now[:, : 2 * self.width] + gates).chunk(2, dim=1)
            new = torch.tanh(now[:, 2 * self.width :] + reset * candidate)
            state = torch.lerp(new, state, keep)
            states.append(state)
        return self.head(torch.stack(states, dim=1)).transpose(1, 2)  # type: ignore[no-any-return]


class Attentive(nn.Module):
    """A character transformer of one pre-norm block with two heads."""

    def __init__(self, symbols: int = 65, length: int = 16, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.before_attention, self.before_mixing = nn.LayerNorm(width), nn.LayerNorm(width)
        self.before_head = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.mixing = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
        self.head = nn.Linear(width, symbols)
        self.register_buffer("later", torch.ones(length, length).triu(1).bool(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.place
        x = x + self.joined(self._attended(self.before_attention(x)))
        x = x + self.mixing(self.before_mixing(x))
        return self.head(self.before_head(x)).transpose(1, 2)  # type: ignore[no-any-return]

    def _attended(self, x: Tensor) -> Tensor:
        split = self.queries_keys_values(x).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = split.unbind(0)
        scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[-1])
        scores = scores.masked_fill(self.later, -1e9)
        return (scores.softmax(3) @ values).transpose(1, 2).flatten(2)


class Factors(nn.Module):
    """A rating as the mean, two biases and the product of two vectors."""

    def __init__(self, users: int = 610, films: int = 1000, width: int = 6) -> None:
        super().__init__()
        self.user, self.film = nn.Embedding(users, width + 1), nn.Embedding(films, width + 1)
        self.mean = nn.Parameter(torch.zeros(()))
        for part in (self.user, self.film):
            nn.init.normal_(part.weight, std=0.1)

    def forward(self, pairs: Tensor) -> Tensor:
        """``(batch, 2)`` indices → ``(batch, 2)``: rating, and the vectors' mean square."""
        user, film = self.user(pairs[:, 0]), self.film(pairs[:, 1])
        product = (user[:, 1:] * film[:, 1:]).sum(1)
        size = (user**2).sum(1) + (film**2).sum(1)
        return torch.stack([self.mean + user[:, 0] + film[:, 0] + product, size], dim=1)


class BagOfWords(nn.Module):
    """The sum of a sentence's word vectors over the root of their number, then a linear layer."""

    def __init__(self, words: int = 1000, width: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.head = nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        present = (tokens > 0).to(torch.float32).unsqueeze(2)
        total = (self.embedding(tokens) * present).sum(1)
        return self.head(total / present.sum(1).clamp(min=1.0).sqrt())  # type: ignore[no-any-return]


# ---------------------------------------------------------------- losses


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of a single output."""
    return F.mse_loss(output.squeeze(1), target)


def regularised_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the ratings plus 0.02 × the vectors' mean square."""
    return F.mse_loss(output[:, 0], target) + 0.02 * output[:, 1].mean()


# ---------------------------------------------------------------- data


def _idx(path: Path) -> np.ndarray:
    with gzip.open(path) as file:
        raw = np.frombuffer(file.read(), dtype=np.uint8)
    dimensions = int(raw[3])
    shape = raw[4 : 4 + 4 * dimensions].view(">i4").astype(int)
    return raw[4 + 4 * dimensions :].reshape(shape)


@cache
def pictures(name: str, count: int = 30_000, held: int = 1000) -> Examples:
    """MNIST or Fashion-MNIST at 14 × 14, flat, in 0…1; held out from its test part."""
    folder = data_folder(None, name)
    parts: list[Tensor] = []
    for part, limit in (("train", count), ("t10k", held)):
        images = _idx(folder / f"{part}-images-idx3-ubyte.gz")[:limit]
        small = images.reshape(-1, 14, 2, 14, 2).mean((2, 4), dtype=np.float32) / 255
        labels = _idx(folder / f"{part}-labels-idx1-ubyte.gz")[:limit]
        parts += [torch.from_numpy(small).flatten(1), torch.tensor(labels.astype(np.int64))]
    return Examples(x=parts[0], y=parts[1], held_x=parts[2], held_y=parts[3])


@cache
def mirrored(name: str) -> Examples:
    """The pictures as their own targets."""
    data = pictures(name)
    return Examples(x=data.x, y=data.x, held_x=data.held_x, held_y=data.held_x)


@cache
def stretched(name: str) -> Examples:
    """The pictures with each pixel multiplied by a constant between 10^-1.5 and 10^1.5."""
    data = pictures(name)
    chance = torch.Generator().manual_seed(3)
    scale = 10 ** (3 * torch.rand(data.x.shape[1], generator=chance) - 1.5)
    return Examples(x=data.x * scale, y=data.y, held_x=data.held_x * scale, held_y=data.held_y)


@cache
def digits() -> Examples:
    """Scikit-learn's 8 × 8 digits, flat, in 0…1."""
    found = load_digits()
    x = torch.tensor(found.data, dtype=torch.float32) / 16
    return Examples.divided(x, torch.tensor(found.target).long(), held=400)


def shifted(x: Tensor, chance: torch.Generator) -> Tensor:
    """Each 8 × 8 picture moved by up to one pixel, with some noise."""
    n = len(x)
    padded = F.pad(x.view(n, 8, 8), (1, 1, 1, 1))
    rows, columns = torch.randint(3, (2, n, 1), generator=chance)
    rows, columns = rows + torch.arange(8), columns + torch.arange(8)
    moved = padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None]]
    return moved.flatten(1) + 0.15 * torch.randn(n, 64, generator=chance)


@cache
def characters(length: int) -> Examples:
    """Windows of Tiny Shakespeare and the same moved on by one; the last tenth is held out."""
    text = (data_folder(None, "tinyshakespeare") / "input.txt").read_text(encoding="utf-8")
    number = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
    tokens = torch.tensor([number[symbol] for symbol in text])
    cut = len(tokens) * 9 // 10
    windows = tokens[:cut].unfold(0, length + 1, 1)
    held = tokens[cut:].unfold(0, length + 1, 300)[:300]
    return Examples(x=windows[:, :-1], y=windows[:, 1:], held_x=held[:, :-1], held_y=held[:, 1:])


@cache
def ratings(films: int = 1000) -> Examples:
    """MovieLens: (user, film) → rating less 3, over the films most often rated."""
    with (data_folder(None, "movielens-small") / "ratings.csv").open(encoding="utf-8") as file:
        rows = [(row["userId"], row["movieId"], row["rating"]) for row in csv.DictReader(file)]
    common = Counter(film for _, film, _ in rows).most_common(films)
    place = {film: i for i, (film, _) in enumerate(common)}
    table = torch.tensor(
        [
            (int(user) - 1, place[film], float(stars) - 3)
            for user, film, stars in rows
            if film in place
        ]
    )
    return Examples.divided(table[:, :2].long(), table[:, 2], held=6000)


@cache
def sentences(words: int = 1000, length: int = 24) -> Examples:
    """SST-2: numbers of the commonest words, 0 for the others; the dev part is held out."""
    folder = data_folder(None, "sst2")
    read: dict[str, list[tuple[list[str], int]]] = {}
    for part in ("train", "dev"):
        lines = (folder / f"{part}.tsv").read_text(encoding="utf-8").split("\n")
        pairs = [line.rsplit("\t", 1) for line in lines if "\t" in line]
        read[part] = [(text.split(), int(label)) for text, label in pairs if label.strip() in "01"]
    common = Counter(word for text, _ in read["train"] for word in text).most_common(words - 1)
    number = {word: i for i, (word, _) in enumerate(common, start=1)}
    tensors: list[Tensor] = []
    for part in ("train", "dev"):
        table = torch.zeros(len(read[part]), length, dtype=torch.long)
        for row, (text, _) in zip(table, read[part], strict=True):
            known = [number[word] for word in text if word in number][:length]
            row[: len(known)] = torch.tensor(known, dtype=torch.long)
        tensors += [table, torch.tensor([label for _, label in read[part]])]
    return Examples(x=tensors[0], y=tensors[1], held_x=tensors[2], held_y=tensors[3])


def fewer_words(x: Tensor, chance: torch.Generator) -> Tensor:
    """Half of the words left out."""
    return x * torch.randint(2, x.shape, generator=chance)


@cache
def houses() -> Examples:
    """California housing: nine standardised numbers → price in units of $100,000, less 2."""
    with (data_folder(None, "california-housing") / "housing.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = [name for name in rows[0] if name not in ("median_house_value", "ocean_proximity")]
    inland = torch.tensor([[float(row["ocean_proximity"] == "INLAND")] for row in rows])
    x = torch.tensor([[float(row[name] or "nan") for name in numbers] for row in rows])
    x = torch.cat([x.nan_to_num(nan=400.0), inland], dim=1)
    prices = torch.tensor([float(row["median_house_value"]) for row in rows]) / 1e5 - 2
    return Examples.divided((x - x.mean(0)) / x.std(0), prices, held=2000)


# ---------------------------------------------------------------- the list

_LIST = [
    Workload(
        name="digits_perceptron", steps=600, long_steps=2400, development=True,
        network=partial(perceptron, 64, 32, 32, 10), examples=digits, vary=shifted,
        criterion=F.cross_entropy,
    ),
    Workload(
        name="fashion_convolutions", steps=400, long_steps=2000, development=True,
        network=convolutions, examples=partial(pictures, "fashion-mnist"),
        criterion=F.cross_entropy, loss_scale=0.023,
    ),
    Workload(
        name="shakespeare_recurrent", steps=400, long_steps=2000, development=True,
        network=Recurrent, examples=partial(characters, 16), criterion=F.cross_entropy,
        batch_size=8,
    ),
    Workload(
        name="movielens_factors", steps=500, long_steps=2000, development=True,
        network=Factors, examples=ratings, criterion=regularised_error, batch_size=64,
        loss_scale=14.0,
    ),
    Workload(
        name="stretched_logistic", steps=500, long_steps=3000, development=True,
        network=partial(perceptron, 196, 10), examples=partial(stretched, "fashion-mnist"),
        criterion=F.cross_entropy,
    ),
    Workload(
        name="changing_perceptron", steps=600, long_steps=3000, development=True, changes=True,
        network=partial(perceptron, 196, 32, 10), examples=partial(pictures, "mnist"),
        criterion=F.cross_entropy, input_scale=3.1,
    ),
    Workload(
        name="fashion_perceptron", steps=300, long_steps=2000,
        network=partial(perceptron, 196, 32, 32, 10), examples=partial(pictures, "fashion-mnist"),
        criterion=F.cross_entropy, input_scale=0.27, loss_scale=52.0,
    ),
    Workload(
        name="mnist_autoencoder", steps=400, long_steps=2000,
        network=partial(perceptron, 196, 32, 8, 32, 196), examples=partial(mirrored, "mnist"),
        criterion=F.mse_loss, loss_scale=6.7,
    ),
    Workload(
        name="shakespeare_attention", steps=400, long_steps=2000,
        network=Attentive, examples=partial(characters, 16), criterion=F.cross_entropy,
        batch_size=8, loss_scale=0.16,
    ),
    Workload(
        name="california_perceptron", steps=500, long_steps=2500,
        network=partial(perceptron, 9, 32, 32, 1), examples=houses, criterion=squared_error,
        batch_size=48, input_scale=1.8,
    ),
    Workload(
        name="sst2_bag_of_words", steps=600, long_steps=2000,
        network=BagOfWords, examples=sentences, criterion=F.cross_entropy, vary=fewer_words,
        batch_size=48, loss_scale=3.4,
    ),
    Workload(
        name="mnist_deep_narrow", steps=600, long_steps=2000,
        network=partial(perceptron, 196, *[24] * 4, 10, activation=nn.Tanh),
        examples=partial(pictures, "mnist"), criterion=F.cross_entropy, loss_scale=0.4,
    ),
]  # fmt: skip

WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in _LIST}


def main() -> None:
    torch.set_num_threads(1)
    for workload in WORKLOADS.values():
        model = workload.model(0)
        size = sum(parameter.numel() for parameter in model.parameters())
        optimizer = OPTIMIZERS["adam"](model.parameters(), 3e-3)
        initial = workload.validation(model)
        batches = workload.batches(0, workload.steps)
        began = time.perf_counter()
        for _, batch in zip(range(workload.steps), batches, strict=False):
            optimizer.zero_grad()
            workload.loss(model, batch).backward()
            optimizer.step()
        milliseconds = 1e3 * (time.perf_counter() - began) / workload.steps
        print(
            f"{workload.name:22} {size:6} parameters, {milliseconds:.2f} ms a step, Adam 0.003:"
            f" {initial:.4g} → {workload.validation(model):.4g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
