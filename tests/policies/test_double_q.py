"""double_q: its table is kept by the learner of that name; the rest is in test_tabular."""

from __future__ import annotations


def test_its_table_is_that_of_the_learner_after_the_same_lessons(law):
    policy, twin = law.lessons_of("double_q")
    assert policy.state_dict()["table"] == twin.state_dict()
