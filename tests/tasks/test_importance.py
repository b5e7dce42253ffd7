"""What exchanging a column's values does to a network's answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from paceline.data.base import Examples
from paceline.tasks.base import Judged, importance
from paceline.tasks.base.classification import Classification
from paceline.tasks.base.importance import PASSES, column_importance
from paceline.tasks.base.regression import Regression


@pytest.fixture
def judged():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "useless": random.normal(size=400),
            "half": random.normal(size=400),
            "twice": random.normal(size=400),
        }
    )
    asked = []

    def ask(examples: Examples) -> torch.Tensor:
        asked.append(len(examples.inputs))
        return torch.tensor((0.5 * examples.inputs.half + 2 * examples.inputs.twice).to_numpy())

    truth = ask(Examples(inputs=frame, targets=None))
    asked.clear()
    examples = Examples(inputs=frame, targets=truth.numpy())
    return Judged(answer=truth, target=truth, examples=examples, train=examples, ask=ask), asked


def test_columns_matter_as_much_as_answers_depend_on_them(judged):
    (found,) = column_importance(Regression(mean=0.0, scale=1.0), judged[0])
    worse = {column: by for column, by, _ in found.rows}
    assert list(worse) == ["twice", "half", "useless"]
    assert worse["useless"] == 0.0
    # Two independent draws: the error is the coefficient times the root of two.
    assert worse["twice"] == pytest.approx(2 * 2**0.5, rel=0.15)
    assert worse["half"] == pytest.approx(0.5 * 2**0.5, rel=0.15)
    assert found.columns == ("column", "rmse worse by", "loss worse by")


def test_it_asks_as_often_as_it_says(judged):
    column_importance(Regression(mean=0.0, scale=1.0), judged[0])
    assert judged[1] == [400] * 3  # all of a small test part


def test_a_large_test_part_is_asked_about_in_part(judged, monkeypatch):
    monkeypatch.setattr(importance, "_CHEAP", 0)
    column_importance(Regression(mean=0.0, scale=1.0), judged[0])
    assert sum(judged[1]) == pytest.approx(PASSES * 400, abs=3)


def test_more_is_better_for_accuracy(judged):
    whole, _ = judged
    goal = Classification(classes=("no", "yes"))

    def ask(examples: Examples) -> torch.Tensor:
        yes = torch.tensor((examples.inputs.twice > 0).to_numpy(), dtype=torch.float64)
        return torch.stack([1 - yes, yes], 1)

    answer = ask(whole.examples)
    made = Judged(
        answer=answer,
        target=answer.argmax(1),
        examples=whole.examples,
        train=whole.train,
        ask=ask,
    )
    (found,) = column_importance(goal, made)
    assert found.rows[0][0] == "twice"
    assert found.rows[0][1] == pytest.approx(0.5, abs=0.1)
    assert all(worse == 0 for _, worse, _ in found.rows[1:])


def test_a_single_column_is_not_compared(judged):
    whole, _ = judged
    alone = Examples(inputs=whole.examples.inputs[["half"]], targets=None)
    made = Judged(
        answer=whole.answer, target=whole.target, examples=alone, train=alone, ask=whole.ask
    )
    assert column_importance(Regression(mean=0.0, scale=1.0), made) == ()
