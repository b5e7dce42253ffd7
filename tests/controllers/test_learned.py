"""What the controllers do whose policy is a table: states, rewards, tables from files."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from paceline.controllers.bandit import Bandit
from paceline.controllers.base.learned import ACTIONS, FORMAT, Learned, policy_facts
from paceline.controllers.double_q import DoubleQ
from paceline.controllers.q_learning import QLearning
from paceline.controllers.sarsa import Sarsa
from paceline.core.errors import SettingError
from paceline.core.readings import Reading

EVERY = [Bandit, DoubleQ, QLearning, Sarsa]


class Spy:
    """A learner that writes down what it is told and wants one action in every state."""

    actions = len(ACTIONS)

    def __init__(self, wants: int = 2) -> None:
        self.lessons: list[tuple[Any, ...]] = []
        self.wants, self.asked = wants, [""]

    def values(self, state: str) -> list[float]:
        self.asked.append(state)
        return [float(action == self.wants) for action in range(self.actions)]

    def bonuses(self, state: str) -> list[float]:
        return [0.0] * self.actions

    def learn(self, *lesson: Any) -> None:
        self.lessons.append(lesson)


def spied(part: Any = QLearning, wants: int = 2, **settings: Any) -> tuple[Learned, Spy]:
    controller, spy = part(0.1, decay=False, **settings), Spy(wants)
    controller.table = spy
    return controller, spy


def drive(controller: Learned, losses: list[float], **values: float) -> list[float]:
    """The rates while it hears these losses."""
    found = []
    for step, loss in enumerate(losses):
        told = {"loss": loss, "gradient_alignment": 0.3, **values}
        heard = Reading(step=step, progress=step / len(losses), values=told)
        choice = controller.decide(heard)
        assert choice == controller.decide(heard)
        controller.learn(heard, choice, heard)
        found.append(choice.learning_rate or 0.0)
    return found


def untaught(tmp_path: Path, part: Any) -> str:
    """A table without a single state."""
    facts = {"format": FORMAT, "learner": part.learner, "actions": list(ACTIONS)}
    path = tmp_path / f"{part.learner}.json"
    path.write_text(json.dumps(facts | {"state": part(0.1).blank().state_dict()}))
    return str(path)


@pytest.mark.parametrize("wants", range(len(ACTIONS)))
def test_the_rate_is_multiplied_by_the_best_action_of_the_table(wants):
    controller, _ = spied(wants=wants)
    rates = drive(controller, [9.0 - 0.1 * step for step in range(12)])
    assert rates[8:10] == [0.1, pytest.approx(0.1 * ACTIONS[wants])]


@pytest.mark.parametrize("part", EVERY)
def test_where_nothing_is_known_the_rate_is_left_alone(part, tmp_path):
    controller = part(0.1, decay=False, policy=untaught(tmp_path, part))
    assert set(drive(controller, [9.0 - 0.1 * step for step in range(60)])) == {0.1}


@pytest.mark.parametrize("part", EVERY)
def test_every_learned_controller_ships_a_table_that_was_trained_and_tested(part):
    facts = policy_facts("", part.learner)
    assert facts is not None and facts["learner"] == part.learner
    assert facts["trained"]["episodes"] >= 100
    assert not set(facts["trained"]["kinds"]) & set(facts["tested"]["kinds"])
    assert facts["tested"]["beat_constant"] > 0.5
    assert part(0.1).table.state_dict() == facts["state"]


def test_the_reward_is_the_fall_of_the_log_loss_in_a_step():
    controller, spy = spied(learn_rate=0.1)
    drive(controller, [math.exp(-0.01 * step) for step in range(40)])
    assert [lesson[2] for lesson in spy.lessons] == pytest.approx([0.01] * 3, rel=1e-3)


def test_the_reward_is_by_the_second_where_seconds_are_known():
    controller, spy = spied(learn_rate=0.1)
    losses = [math.exp(-0.01 * step) for step in range(30)]
    for step, loss in enumerate(losses):
        seconds = 0.5 if step < 10 else 1.0
        heard = Reading(step=step, progress=0.0, values={"loss": loss, "step_seconds": seconds})
        controller.learn(heard, controller.decide(heard), heard)
    assert spy.lessons[0][2] == pytest.approx(0.01 * 9 / (1 + 8 * 2), rel=0.01)


def test_losses_below_zero_have_rewards_too():
    controller, spy = spied(learn_rate=0.1)
    drive(controller, [1.0 - 0.1 * step for step in range(40)])
    assert all(0 < lesson[2] <= 2 for lesson in spy.lessons)


def test_after_a_revert_the_state_says_so_and_the_reward_is_what_is_left():
    controller, spy = spied(wants=5, learn_rate=0.1)
    calm = [9.0 - 0.1 * step for step in range(10)]
    losses = [*calm, *[20.0] * 9, *[8.0 - 0.1 * step for step in range(12)]]
    rates = drive(controller, losses)
    assert rates[9] == pytest.approx(0.5) and rates[18] == 0.1
    (lesson,) = spy.lessons
    change = math.log(sum(losses[19:27]) / sum(losses[1:9]))
    assert lesson[2] == pytest.approx(-change / 18, rel=0.01)
    assert not lesson[0].endswith("h") and lesson[3].endswith("h")


def test_a_lesson_names_state_action_and_what_was_done_next():
    controller, spy = spied(part=Sarsa, wants=3, learn_rate=0.1)
    drive(controller, [9.0 - 0.1 * step for step in range(50)])
    (state, action, _, follows, then), after = spy.lessons[0], spy.lessons[1]
    assert action == then == 3 and follows == after[0]
    assert state.startswith("t2n0a2p0")


def test_the_state_tells_a_fall_from_a_rise_and_little_noise_from_much():
    draw = random.Random(0)
    fall = [5.0 - 0.1 * step for step in range(40)]
    runs = {
        "fall": fall,
        "rise": [*fall[:20], *[3.0 + 0.01 * step for step in range(20)]],
        "noise": [5.0 + 4.0 * draw.random() for _ in range(40)],
    }
    found = {}
    for name, losses in runs.items():
        controller, spy = spied()
        drive(controller, losses)
        found[name] = spy.asked[-1]
    assert found["fall"].startswith("t2n0") and found["fall"].endswith("m")
    assert found["rise"].startswith("t0n0") and found["rise"].endswith("m")
    assert found["noise"][2:4] == "n1" and found["noise"].endswith("s")


def test_without_learning_the_table_stays_as_it_is():
    controller, spy = spied()
    drive(controller, [9.0 - 0.1 * step for step in range(60)])
    assert spy.lessons == []


@pytest.mark.parametrize("part", EVERY)
def test_a_table_that_goes_on_learning_resumes_exactly(part):
    losses = [3 + math.sin(step / 5) for step in range(120)]
    one = part(0.1, learn_rate=0.2, exploration=0.3)
    drive(one, losses[:70])
    other = part(0.1, learn_rate=0.2, exploration=0.3)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert drive(one, losses[70:]) == drive(other, losses[70:])
    assert one.state_dict() == other.state_dict()


def test_exploration_tries_other_actions_and_is_the_same_each_time():
    losses = [9.0 - 0.01 * step for step in range(400)]
    found = []
    for seed in (0, 0, 1):
        controller, spy = spied(exploration=0.5, learn_rate=0.1, seed=seed)
        drive(controller, losses)
        found.append([lesson[1] for lesson in spy.lessons])
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) > 3 and found[0].count(2) > 0.3 * len(found[0])


def test_a_bandit_explores_what_it_has_not_tried(tmp_path):
    controller = Bandit(0.1, learn_rate=0.1, exploration=0.1, policy=untaught(tmp_path, Bandit))
    drive(controller, [5.0 + 0.001 * (-1) ** step for step in range(400)])
    counts = controller.table.state_dict()["counts"].values()
    assert any(sum(count > 0 for count in row) >= 4 for row in counts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "no table"),
        ("[]", "no table"),
        ('{"format": "other"}', "no table"),
        (json.dumps({"format": FORMAT, "learner": "sarsa", "actions": [1, 2]}), "another"),
        (
            json.dumps({"format": FORMAT, "learner": "sarsa", "actions": list(ACTIONS)}),
            "damaged",
        ),
        (
            json.dumps(
                {
                    "format": FORMAT,
                    "learner": "sarsa",
                    "actions": list(ACTIONS),
                    "state": {"table": {"t0": [1.0]}},
                }
            ),
            "damaged",
        ),
    ],
)
def test_a_file_that_is_no_table_for_it_is_refused_in_one_line(tmp_path, text, expected):
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(SettingError, match=expected) as refusal:
        Sarsa(0.1, policy=str(path))
    assert "\n" not in str(refusal.value) and str(path) in str(refusal.value)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(SettingError, match="No such file"):
        Sarsa(0.1, policy=str(tmp_path / "none.json"))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="no text"):
        Sarsa(0.1, policy=str(tmp_path / "bytes.json"))


def test_a_table_of_another_learner_is_refused(tmp_path):
    with pytest.raises(SettingError, match="'q_learning'"):
        Sarsa(0.1, policy=untaught(tmp_path, QLearning))


def test_a_learner_without_a_shipped_table_has_none():
    assert policy_facts("", "no_such_learner") is None


@pytest.mark.parametrize(
    ("setting", "value"), [("learn_rate", 1.1), ("exploration", -0.1), ("seed", -1)]
)
def test_a_setting_out_of_range_is_named(setting, value):
    with pytest.raises(SettingError, match=setting):
        QLearning(0.1, **{setting: value})
