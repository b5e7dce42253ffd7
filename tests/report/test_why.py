from __future__ import annotations

import pytest

from paceline.core.errors import RunError
from paceline.report.why import explain, in_words


def test_a_decision_tells_who_chose_what_because_of_what_and_what_it_gave(made, tmp_path):
    found = explain(made.make_run(tmp_path / "run", readings=1))
    assert [each.line for each in found] == [
        "At step 0 (0.4 s) fit chose precision = fp32, because this CPU has no bf16 instructions;"
        " seen: device cpu; could have been: fp32, bf16.",
        "At step 420 (11.2 s) Plateau chose learning rate = 0.001, because the loss fell no"
        " further; seen: loss smooth 0.21, loss trend -0.0001; could have been: 0.001, 0.002;"
        " expected: loss smooth 0.15; it gave: loss smooth 0.14.",
    ]


def test_a_run_without_a_ledger_is_refused(tmp_path):
    with pytest.raises(RunError, match="there is no ledger"):
        explain(tmp_path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (False, "no"),
        ({"a": None, "b": {"c": 1}}, "b c 1"),
        (list(range(9)), "0, 1, 2, 3, 4, 5 and 3 more"),
        ("e3" * 32, "e3e3e3e3e3e3…"),
        (12345, "12,345"),
    ],
)
def test_values_are_told_in_words(value, words):
    assert in_words(value) == words
