"""A trained run: what it reached, and its answers for new examples."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from paceline.core import catalog
from paceline.core.errors import DataError, RunError
from paceline.core.progress import Silence
from paceline.core.signature import Signature
from paceline.data.base import Batch, Examples, Opening
from paceline.data.base.batches import to_batch
from paceline.data.base.locate import open_source
from paceline.jobs.assemble import build_model
from paceline.jobs.control.run import TASK, ControlRun
from paceline.jobs.folder import RunFolder
from paceline.jobs.material import OWN
from paceline.jobs.measure import Answering, unknown_batches
from paceline.jobs.prepare import Batches, batches_of
from paceline.models.base import Standardised
from paceline.tasks.base import Goal, Task, goal_from_json
from paceline.train.judge import answers
from paceline.train.precision import Precision, find_device
from paceline.train.transaction import Vault, read_snapshot

if TYPE_CHECKING:
    from paceline.jobs.recommend import Recommended

Answers = np.ndarray[Any, Any]


@final
class Run:
    """What ``fit`` gives and ``load`` brings back.

    Args:
        path: The run's directory.
        model: The network, where it is a person's own.
        weights: ``best`` by validation, or ``last``.
        device: Where to compute answers.

    Attributes:
        path: The run's directory.
        facts: What ``run.json`` says.
        test: Metrics on the test part, by name.
        baselines: The same for plain baselines, by name.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        model: nn.Module | None = None,
        weights: str = "best",
        device: str = "auto",
    ) -> None:
        self.path = Path(path)
        self.facts = RunFolder(self.path).read()
        result = self.facts.get("result") or {}
        self.test: dict[str, float] = result.get("test", {})
        self.baselines: dict[str, dict[str, float]] = result.get("baselines", {})
        self._own, self._weights, self._device = model, weights, find_device(device)

    def __repr__(self) -> str:
        reached = ", ".join(f"{name}={value:.4g}" for name, value in self.test.items())
        return f"Run({str(self.path)!r}: {reached or self.facts.get('state', 'no result')})"

    @functools.cached_property
    def task(self) -> Task | None:
        """What was learnt; None where the data were a person's own datasets."""
        state = self.facts["task"]
        if state["name"] == OWN:
            return None
        part: type[Task] = catalog.find("tasks", state["name"])
        return part.from_json(state["state"])

    @functools.cached_property
    def goal(self) -> Goal:
        """What good means."""
        return (
            self.task.goal if self.task is not None else goal_from_json(self.facts["task"]["goal"])
        )

    @functools.cached_property
    def model(self) -> nn.Module:
        """The network with its weights, in eval mode.

        Raises:
            RunError: The weights are missing, damaged or of another network.
        """
        network = self._network()
        try:
            network.load_state_dict(self._tensors())
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise RunError(f"the weights of {self.path} do not fit the model: {first}") from None
        return network.to(self._device).eval()

    def detach(self) -> None:
        """Reads all that is in the directory, so that it may go."""
        _ = self.task, self.goal, self.model

    def predict(self, x: Any) -> Answers:
        """Labels or numbers for new examples, in the words of the training data.

        Args:
            x: Whatever the run was trained on, without targets: a file, a folder, a
                DataFrame, an array; for a person's own data a tensor, dataset or loader.

        Returns:
            Array [n].
        """
        return self.goal.decode(self._answers(x))

    def predict_proba(self, x: Any) -> Answers:
        """Probabilities [n, classes]; the classes are in the order of ``classes``.

        Raises:
            DataError: The run predicts numbers.
        """
        if self.goal.name != "classification":
            raise DataError(f"this run is of {self.goal.name}; it has no probabilities")
        probabilities: Answers = self._answers(x).double().numpy()
        return probabilities

    def answers(self, x: Any) -> dict[str, list[Any]]:
        """Answers as JSON values: ``prediction`` and, for classes, its ``probability``."""
        found = self._examples(x)
        if self.task is None or not isinstance(found, Examples):
            return self.goal.says(self._answers(x))
        return self.task.says(self._answers(found), found)

    @property
    def classes(self) -> list[Any]:
        """The labels, in the order of the probabilities; empty for numbers."""
        return list(getattr(self.goal, "classes", []))

    def evaluate(self, x: Any, y: Any = None) -> dict[str, float]:
        """Metrics on examples whose targets are known.

        Args:
            x: As for ``predict``; the targets may be in it (a CSV with the target column).
            y: Targets [n], where they are not.

        Raises:
            DataError: There are no targets.
        """
        examples = self._examples(x)
        if isinstance(examples, Examples):
            targets = examples.targets if y is None else np.asarray(y)
            assert self.task is not None
            encoded = self.task.encode(Examples(inputs=examples.inputs, targets=targets))
            if encoded.targets is None:
                raise DataError("there are no targets to evaluate with; give y")
            batches = batches_of(encoded, self._device)
            if batches is None:
                raise DataError("there are no examples to evaluate on")
        else:
            batches = examples
        measured = self.goal.metrics(*answers(self.model, batches(), self.goal, self._precision()))
        measured.pop("loss")
        return measured

    def learn(self, x: Any, y: Any = None, **settings: Any) -> Run:
        """Goes on with examples that came later, in a new run beside this one.

        Args:
            x: As for ``evaluate``; or arrays and their targets, ``(x, y)``.
            y: Targets [n], where they are not in ``x``.
            settings: Of ``jobs.continual.learn.learn``: ``out``, ``steps``, ``replay``, ``ewc``,
                ``seed``, ``progress``.

        Returns:
            The new run.

        Raises:
            DataError: There are no targets, or too few examples.
        """
        from paceline.jobs.continual.learn import learn

        if y is None and isinstance(x, tuple) and len(x) == 2:
            x, y = x
        examples = x if isinstance(x, Examples) else self._examples(x)
        if not isinstance(examples, Examples):
            raise DataError("a run on datasets of your own cannot learn on; train it again")
        targets = examples.targets if y is None else np.asarray(y)
        return learn(self, Examples(inputs=examples.inputs, targets=targets), **settings)

    def sample(self, prompt: str = "", **settings: Any) -> str:
        """Text that a language model writes on with.

        Args:
            prompt: What stands before; left out, the beginning of a line.
            settings: Of ``jobs.sample.sample``: ``tokens``, ``temperature``, ``top_k``, ``seed``.

        Raises:
            RunError: The run is not of text.
        """
        from paceline.jobs.sample import sample

        return sample(self, prompt, **settings)

    def recommend(self, user: Any, *, count: int = 10) -> list[Recommended]:
        """The items that a user is expected to rate highest, the best first.

        Args:
            user: As it stands in the data; one that was never seen gets what is liked by all.
            count: How many, at least 1.

        Raises:
            RunError: The run is not of ratings.
        """
        from paceline.jobs.recommend import recommend

        return recommend(self, user, count=count)[0]

    def _answers(self, x: Any) -> torch.Tensor:
        found = x if isinstance(x, Examples) else self._examples(x)
        if isinstance(found, Examples):
            assert self.task is not None
            batches = unknown_batches(self.task, found, self._device)
        else:
            batches = found
        return answers(self.model, batches(), Answering(self.goal), self._precision())[0]

    def _examples(self, x: Any) -> Examples | Batches:
        """Raw examples, or batches where the data are a person's own."""
        if self.task is None:
            return _own_batches(x, self._device)
        opening = Opening(
            target=self.facts["data"].get("target"),
            skip_bad=False,
            progress=Silence(),
            image_shape=getattr(self.task, "shape", None),
            sample_rate=getattr(self.task, "sample_rate", None),
        )
        _, source, place = open_source(x, opening)
        return source.read_inputs(place, opening)

    def _network(self) -> nn.Module:
        stored = self.facts["model"]
        if self._own is None and stored["name"].startswith(OWN):
            raise RunError(
                f"the run {self.path} holds a model of your own: load it with"
                f" paceline.load(path, model=…), a {stored['name'].partition(':')[2]}"
            )
        if self.task is None:
            assert self._own is not None
            return self._own
        signature = Signature.from_json(stored["signature"])
        if self._own is not None:
            return Standardised(self._own, signature)
        return build_model(signature, stored["name"], stored["settings"])

    def _tensors(self) -> dict[str, torch.Tensor]:
        if self._weights == "last":
            snapshot, _ = Vault(RunFolder(self.path).checkpoints).read()
            if snapshot is None:
                raise RunError(f"the run {self.path} has no last weights")
            prefix = "model/"
            return {
                name.removeprefix(prefix): value
                for name, value in snapshot.tensors.items()
                if name.startswith(prefix)
            }
        if self._weights != "best":
            raise RunError(f"weights are 'best' or 'last', not {self._weights!r}")
        digest = self.facts.get("sha256", {}).get("model.safetensors")
        if digest is None:
            raise RunError(f"the run {self.path} has no model yet; go on with --resume")
        return read_snapshot(RunFolder(self.path).model_file, digest).tensors

    def _precision(self) -> Precision:
        return Precision(name="fp32", device=self._device, reason="answers are exact")


def load(
    path: Path | str,
    *,
    model: nn.Module | None = None,
    weights: str = "best",
    device: str = "auto",
) -> Run:
    """A run from its directory.

    Args:
        path: The run's directory.
        model: The network, where it is a person's own; its weights are overwritten.
        weights: ``best`` by validation, or ``last``.
        device: Where to compute answers.

    Raises:
        RunError: There is no run there, or it is damaged.
    """
    state = RunFolder(Path(path)).read().get("task", {})
    if state.get("name") == TASK:
        acting: Any = ControlRun(path, weights=weights)
        return acting  # type: ignore[no-any-return] # a Run in all but name
    return Run(path, model=model, weights=weights, device=device)


def _own_batches(x: Any, device: torch.device) -> Batches:
    if isinstance(x, DataLoader):
        return lambda: (to_batch(item, device) for item in x)
    if isinstance(x, Dataset):
        loader: DataLoader[Any] = DataLoader(x, batch_size=256)
        return lambda: (to_batch(item, device) for item in loader)
    inputs = x if isinstance(x, tuple) else (x,)
    tensors = tuple(torch.as_tensor(part) for part in inputs)
    unknown = torch.zeros(len(tensors[0]))
    return lambda: iter(
        [Batch(inputs=tuple(part.to(device) for part in tensors), targets=unknown.to(device))]
    )
