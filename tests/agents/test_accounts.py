"""What the agents did with their time adds up, and survives being saved."""

from __future__ import annotations

import json
import math

from paceline.agents.accounts import Accounts


def test_what_agents_did_adds_up_over_the_steps():
    accounts = Accounts()
    for _ in range(3):
        accounts.take({1: 2.0, 2: 1.0, 3: math.nan}, {1: 4, 2: 4}, communication=0.5)
    assert [lane.number for lane in accounts.lanes] == [1, 2]
    assert accounts.lanes[1].wait_seconds == 1.0 and accounts.lanes[1].samples == 4
    assert accounts.summary() == {
        "1": {"compute": 0.8, "wait": 0.0, "communicate": 0.2},
        "2": {"compute": 0.4, "wait": 0.4, "communicate": 0.2},
    }


def test_what_watching_saved_counts_only_where_something_was_thought():
    accounts = Accounts()
    accounts.watch([], 3.0)
    accounts.watch([1.0, math.nan], 3.0)
    accounts.watch([1.0, 1.5], 3.0)
    assert accounts.saved_seconds == 1.5


def test_it_goes_on_from_a_state_that_went_through_json():
    one, other = Accounts(), Accounts()
    one.take({1: 2.0, 2: 1.0}, {1: 4, 2: 4}, communication=0.5)
    one.watch([1.0], 3.0)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for each in (one, other):
        each.take({1: 2.0, 2: 1.0}, {1: 4, 2: 4}, communication=0.5)
    assert one.state_dict() == other.state_dict() and one.summary() == other.summary()
