"""Which columns a network goes by."""

from __future__ import annotations

import numpy as np
import torch

from paceline.core.findings import Finding
from paceline.data.base import Examples
from paceline.tasks.base.goal import Goal
from paceline.tasks.base.task import Judged

# Test examples that are answered again, as a multiple of the test part.
PASSES = 2
# What is asked anyhow, where the test part is small.
_CHEAP = 20_000
_MOST_COLUMNS, _SHOWN = 200, 15


def column_importance(goal: Goal, judged: Judged) -> tuple[Finding, ...]:
    """How much worse the metric gets when a column's values are exchanged between rows.

    ``I_j = s · (m(all) − m(column j permuted))`` with s = 1 where more is better, −1 elsewhere,
    on as many test rows as twice answering the test part allows, or 20,000 answers. Ties are
    ordered by the loss, which sees more than a count of mistakes does. Nothing where there is one
    column, or more than 200.

    Args:
        goal: Whose primary metric m it is.
        judged: Whose examples are a table's.

    Reference:
        Breiman, Random Forests, Machine Learning 45, 2001, section 10.
    """
    frame = judged.examples.inputs
    count = len(frame.columns)
    if not 1 < count <= _MOST_COLUMNS or not len(frame):
        return ()
    random = np.random.default_rng(0)
    most = max(PASSES * len(frame), _CHEAP) // count
    rows = random.permutation(len(frame))[:most]
    some, at = frame.iloc[rows], torch.from_numpy(rows)
    target = judged.target[at]
    before = goal.metrics(judged.answer[at], target)
    sign = 1.0 if goal.higher_is_better else -1.0
    found = []
    for column in frame.columns:
        mixed = some.copy()
        mixed[column] = some[column].to_numpy()[random.permutation(len(some))]
        after = goal.metrics(judged.ask(Examples(inputs=mixed, targets=None)), target)
        worse = sign * (before[goal.primary] - after[goal.primary])
        found.append((worse, after["loss"] - before["loss"], str(column)))
    found.sort(key=lambda each: (-each[0], -each[1]))
    name = goal.primary.replace("_", " ")
    note = (
        f"how much worse {name} gets on {len(some)} test rows when a column's values are exchanged"
        " between rows; columns that say the same share what they matter"
    )
    rest = f"; {count - _SHOWN} more matter less" if count > _SHOWN else ""
    return (
        Finding(
            title="Importance of columns",
            columns=("column", f"{name} worse by", "loss worse by"),
            rows=tuple(
                (column, round(worse, 5), round(loss, 5)) for worse, loss, column in found[:_SHOWN]
            ),
            note=note + rest,
        ),
    )
