"""A team learns what one process learns, whoever dies, hangs, joins or leaves meanwhile."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal

import made_team as made
import pytest
import torch

from paceline.core.errors import AgentsLost, SettingError
from paceline.core.readings import Steer

EXACT = 1e-12
STEPS = 50

SETTINGS = {
    "plain": made.Setting(clip=0.5),
    "dropout": made.Setting(make=made.dropping, optimizer=made.adam),
    "batch norm": made.Setting(make=made.normalised),
    "accumulation": made.Setting(make=made.dropping, accumulate=3),
    "batch norm and accumulation": made.Setting(make=made.normalised, accumulate=2),
    "tokens": made.Setting(make=made.Tied, data=made.token_data, loss=made.token_loss),
    "tokens and accumulation": made.Setting(
        make=made.Tied, data=made.token_data, loss=made.token_loss, accumulate=2
    ),
    "ignored examples": made.Setting(data=made.some_ignored),
    "no gradient": made.Setting(make=made.Idle),
    "no gradient, AdamW": made.Setting(make=made.Idle, optimizer=made.adam),
    "augmentation": made.Setting(augment=made.noisy),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_three_unequal_agents_learn_what_a_loop_by_hand_learns(name):
    setting = SETTINGS[name]
    weights, losses = made.by_hand(setting, STEPS)
    with made.crew_of(setting, 3, shares=[1.0, 2.0, 5.0]) as crew:
        crew.learn(STEPS)
        assert made.apart(made.everything(crew.model), weights) <= EXACT
        assert crew.losses == pytest.approx(losses, abs=EXACT)
        assert crew.team.coverage.counts.tolist() == made.counted_by_hand(
            STEPS * setting.accumulate
        )


def test_one_agent_learns_what_three_do_bit_by_bit_where_no_sums_are_split():
    weights, _ = made.by_hand(made.Setting(), 20)
    with made.crew_of(made.Setting(), 1) as crew:
        crew.learn(20)
        assert made.apart(made.everything(crew.model), weights) <= EXACT


def test_an_agent_without_rows_takes_no_part():
    setting = made.Setting(make=made.normalised)
    weights, _ = made.by_hand(setting, 10)
    with made.crew_of(setting, 3, shares=[0.0, 1.0, 1.0]) as crew:
        crew.learn(10)
        assert made.apart(made.everything(crew.model), weights) <= EXACT
        assert [lane.samples for lane in crew.team.lanes] == [0, 12, 12]


def kill_one(crew):
    os.kill(crew.pid(2), signal.SIGKILL)


def stop_one(crew):
    os.kill(crew.pid(2), signal.SIGSTOP)


def join(crew):
    crew.team.join()


def let_one_leave(crew):
    crew.team.leave(2)


@pytest.mark.parametrize("name", ["plain", "batch norm", "accumulation", "no gradient"])
@pytest.mark.parametrize("disturb", [kill_one, stop_one, join, let_one_leave])
def test_who_comes_and_goes_does_not_change_what_is_learnt(name, disturb):
    setting = SETTINGS[name]
    weights, losses = made.by_hand(setting, STEPS)
    with made.crew_of(setting, 3) as crew:
        crew.learn(20)
        disturb(crew)
        crew.learn(STEPS - 20)
        assert made.apart(made.everything(crew.model), weights) <= EXACT
        assert crew.losses == pytest.approx(losses, abs=EXACT)
        steps = STEPS * setting.accumulate
        assert crew.team.coverage.counts.tolist() == made.counted_by_hand(steps)
        expected = {
            kill_one: ("lost", "died"), stop_one: ("lost", "hung"), join: ("joined", ""),
            let_one_leave: ("left", ""),
        }[disturb]  # fmt: skip
        (told,) = crew.told
        assert told[0] == expected[0] and expected[1] in str(told[1])
        assert sorted(crew.team.members) == ([1, 2, 3, 4] if disturb is join else [1, 3])


def test_one_that_dies_in_the_middle_of_its_work_loses_nothing():
    weights, _ = made.by_hand(made.Setting(), 3)
    with made.crew_of(made.Setting(), 3) as crew:
        crew.learn(1)
        slow = crew.team.members[3]
        slow.wire.send({"do": "pace", "seconds_per_example": 60.0})  # it is at work when it dies
        heard = crew.team.members[1].wire.receive

        def receive():
            with contextlib.suppress(ProcessLookupError):  # it dies but once
                os.kill(slow.process_id, signal.SIGKILL)
            return heard()

        crew.team.members[1].wire.receive = receive
        crew.learn(2)
        assert made.apart(made.everything(crew.model), weights) <= EXACT
        assert [(name, detail["why"]) for name, detail in crew.told] == [("lost", "died")]
        assert crew.team.coverage.counts.tolist() == made.counted_by_hand(3)


def test_a_share_that_does_not_fit_is_cut_up_and_the_gradient_stays():
    setting = made.Setting(make=made.Full)
    weights, _ = made.by_hand(made.Setting(), STEPS)
    with made.crew_of(setting, 2, shares=[1.0, 5.0]) as crew:
        crew.learn(STEPS)
        assert made.apart(made.everything(crew.model), weights) <= EXACT
        assert crew.told == [
            ("out_of_memory", {"agent": 2, "most": 10}),
            ("out_of_memory", {"agent": 2, "most": 5}),
        ]
        assert crew.team.coverage.counts.tolist() == made.counted_by_hand(STEPS)


def test_one_whose_memory_holds_no_example_is_lost():
    with (
        made.crew_of(made.Setting(make=NoRoom), 1) as crew,
        pytest.raises(AgentsLost, match="0 agents are left and 1 are needed"),
    ):
        crew.learn(1)
    assert "does not hold one example" in crew.told[-1][1]["why"]


def NoRoom():  # noqa: N802 # stands where a class stands
    return made.Full(most=0)


def test_below_the_least_number_nothing_is_changed_and_no_batch_is_lost():
    with made.crew_of(made.Setting(), 2, min_agents=2) as crew:
        crew.learn(3)
        kill_one(crew)
        crew.learn(1)  # the other does the whole batch; the next one is not begun
        before, at = made.everything(crew.model), crew.updater.replay.state_dict()
        with pytest.raises(AgentsLost, match="1 agents are left and 2 are needed"):
            crew.learn(1)
        assert made.apart(made.everything(crew.model), before) == 0
        assert crew.updater.replay.state_dict() == at
        assert crew.team.coverage.counts.tolist() == made.counted_by_hand(4)
        crew.team.join()
        crew.learn(6)
        assert made.apart(made.everything(crew.model), made.by_hand(made.Setting(), 10)[0]) <= EXACT


def test_a_team_that_was_saved_goes_on_as_it_would_have():
    # not Adam: it blows up the rounding of a bias before batch norm, whose gradient is 0
    setting = made.Setting(make=made.normalised)
    weights, _ = made.by_hand(setting, 20)
    with made.crew_of(setting, 3, shares=[1.0, 2.0, 5.0]) as crew:
        crew.learn(12)
        model = {name: part.clone() for name, part in crew.model.state_dict().items()}
        state = copy.deepcopy(crew.updater.state_dict())
        state["work"] = json.loads(json.dumps(state["work"]))
        kill_one(crew)
        crew.learn(2)
    with made.crew_of(setting, 3, shares=[1.0, 2.0, 5.0]) as crew:
        crew.model.load_state_dict(model)
        crew.updater.load_state_dict(state)
        crew.learn(8)
        assert made.apart(made.everything(crew.model), weights) <= EXACT
        assert crew.team.coverage.counts.tolist() == made.counted_by_hand(20)


def test_a_trial_is_not_counted():
    with made.crew_of(made.Setting(), 2) as crew:
        crew.updater.update(Steer(probing=True))
        assert crew.team.coverage.summary()["counted"] == 0
        crew.updater.update(Steer())
        assert crew.team.coverage.summary()["counted"] == made.BATCH


def test_a_slow_agent_gets_less_and_its_lane_tells_how_it_spent_the_step():
    with made.crew_of(made.Setting(), 2, policy="proportional") as crew:
        for number, pace in ((1, 0.001), (2, 0.004)):
            crew.team.members[number].wire.send({"do": "pace", "seconds_per_example": pace})
        crew.learn(6)
        fast, slow = crew.team.lanes
        assert fast.samples > 1.5 * slow.samples and fast.samples + slow.samples == made.BATCH
        assert slow.compute_seconds >= 0.004 * slow.samples
        spent = crew.team.accounts.summary()
        assert set(spent) == {"1", "2"}
        for parts in spent.values():
            assert sum(parts.values()) == pytest.approx(1.0, abs=1e-3)


def test_only_agents_that_are_there_can_leave():
    with (
        made.crew_of(made.Setting(), 2) as crew,
        pytest.raises(SettingError, match="there is no agent 7; there are: 1, 2"),
    ):
        crew.team.leave(7)


def test_one_with_other_data_is_refused():
    with made.crew_of(made.Setting(), 1) as crew:
        object.__setattr__(crew.team.workshop, "fingerprint", "of other data")
        crew.team.scheduler.join()
        (fresh,) = crew.team._begin(1)
        object.__setattr__(crew.team.workshop, "fingerprint", "of these data")
        crew.team._await_ready([fresh])
        assert sorted(crew.team.members) == [1]
        assert "its data is of other data, here it is of these data" in crew.told[0][1]["why"]
        crew.learn(1)


def test_weights_are_written_by_the_coordinator_alone_and_lie_on_the_bench():
    with made.crew_of(made.Setting(), 2) as crew:
        first = next(crew.model.parameters())
        assert first.data.untyped_storage().is_shared()
        with torch.no_grad():
            first.fill_(0.5)  # whatever is written there, agents see: nothing has to be sent
        before = made.everything(crew.model)
        crew.team.work_on([0])
        assert made.apart(made.everything(crew.model), before) == 0
