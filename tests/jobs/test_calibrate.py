"""Claims of calibration and of fair choices."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import paceline
from paceline.core.errors import SettingError
from paceline.core.ledger import read_ledger
from paceline.data.base import Batch
from paceline.jobs.calibrate import calibrate
from paceline.tasks.base import Classification, find_goal
from paceline.train.precision import Precision


def rare(count: int = 1500):
    """Two classes that overlap; one of ten examples is of the second."""
    random = np.random.default_rng(0)
    targets = (np.arange(count) % 10 == 0).astype(np.int64)
    x = random.normal(size=(count, 4)).astype(np.float32)
    x[:, 0] += 1.5 * targets
    return x, targets


def test_the_metric_that_is_asked_for_chooses_and_rare_classes_are_named_more_often(tmp_path):
    def recall(metric, name):
        return paceline.fit(
            rare(), steps=150, out=tmp_path / name, baselines=False,
            settings={"task.metric": metric, "data.validation": 0.3},
        )  # fmt: skip

    plain, fair = recall("accuracy", "plain"), recall("balanced_accuracy", "fair")
    assert fair.test["balanced_accuracy"] > plain.test["balanced_accuracy"] + 0.1
    decided = [each for each in read_ledger(fair.path / "ledger.db") if each.name == "offsets"]
    assert decided and decided[0].detail["chosen"] > 0
    again = paceline.load(fair.path)
    assert again.evaluate(rare()[0], rare()[1])["balanced_accuracy"] > 0.6


def test_balanced_weights_let_each_class_count_the_same():
    goal = find_goal(np.array([0] * 9 + [1]), class_weights="balanced")
    output, target = torch.zeros(10, 2), torch.tensor([0] * 9 + [1])
    losses = torch.tensor(goal.class_weights)[target]
    assert losses[:9].sum() == pytest.approx(losses[9:].sum()) and losses.mean() == pytest.approx(1)
    assert float(goal.loss(output, target)) == pytest.approx(np.log(2))


@pytest.mark.parametrize(("examples", "tempered"), [(30, True), (29, False)])
def test_thirty_examples_find_a_temperature_and_fewer_do_not(examples, tempered):
    goal, random = Classification(["a", "b"]), torch.Generator().manual_seed(0)
    target = torch.arange(examples) % 2
    bold = 8 * (torch.randn(examples, 2, generator=random) + torch.eye(2)[target])
    batch = Batch(inputs=(bold,), targets=target)
    material = SimpleNamespace(goal=goal, validation=lambda: iter([batch]))
    told = {}
    record = SimpleNamespace(decide=lambda name, chosen, **_: told.update({name: chosen}))
    plain = Precision(name="fp32", device=torch.device("cpu"), reason="")
    calibrate(material, torch.nn.Identity(), plain, record, 0)
    assert (goal.temperature > 2) == tempered
    assert told == ({"temperature": goal.temperature} if tempered else {})


def test_a_temperature_changes_no_choice_and_survives_json():
    goal = Classification(["a", "b", "c"], temperature=3.0, metric="macro_f1")
    output = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    cold = Classification(["a", "b", "c"])
    assert goal.answer(output).argmax(-1).equal(cold.answer(output).argmax(-1))
    state = {key: value for key, value in goal.to_json().items() if key != "name"}
    assert Classification(**state).to_json() == goal.to_json()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "macro_f2"}, "did you mean 'macro_f1'"),
        ({"metric": "auc"}, "no metric 'auc' for 3"),
        ({"class_weights": "balancd"}, "'balanced' or 'none'"),
    ],
)
def test_wrong_wishes_are_refused(given, said):
    with pytest.raises(SettingError, match=said):
        find_goal(np.array(["a", "b", "c"], dtype=object), **given)
