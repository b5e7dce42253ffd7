"""The simulated world: its formulas beside slow twins, its chance, and its oracle."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paceline.agents.simulation.laws import (
    BATCH_FORMS,
    INTERVAL_FORMS,
    batch_efficiency,
    interval_efficiency,
)
from paceline.agents.simulation.oracle import Oracle, worth
from paceline.agents.simulation.scenario import read_scenario, scenario_from, shipped
from paceline.agents.simulation.simulator import (
    LOADS,
    compare,
    rounds_to_adapt,
    run_oracle,
    run_policy,
)
from paceline.agents.simulation.speed_curves import SpeedCurves
from paceline.agents.simulation.world import World
from paceline.core.clock import ManualClock
from paceline.core.errors import SettingError
from paceline.core.rounds import Assignment

PLAIN = {
    "rounds": 20,
    "examples_per_agent": 10,
    "agents": [{"name": "one", "count": 3, "seconds_per_example": [0.01, 0.04], "noise": 0.1}],
}


class Equal:
    """Equal shares for all that are up: stands in for a Scheduler."""

    def __init__(self, world: World) -> None:
        self.up = [True] * world.first
        self.decisions: Assignment | None = None
        self.caps: dict[int, int] = {}
        self.prices: list[float] = []
        self.told: list[tuple[float, ...]] = []

    def allocate_tasks(self, total):
        here = [agent for agent, up in enumerate(self.up) if up]
        shares = [0] * len(self.up)
        for number, agent in enumerate(here):
            shares[agent] = total // len(here) + (number < total % len(here))
        self.decisions = Assignment(samples=tuple(shares), reason=f"{len(here)} agents")
        return shares

    def observe(self, seconds, *, communication_seconds, progress):
        assert len(seconds) == len(self.up)
        self.told.append((communication_seconds, progress))
        self.up = [each == each for each in seconds]

    def join(self, price):
        self.prices.append(price)
        self.up.append(True)

    def leave(self, agent):
        self.up[agent] = False

    def cap(self, agent, most_samples):
        self.caps[agent] = most_samples


def world_of(changes=None, *, seed=0, **sizes):
    return World(scenario_from(PLAIN | (changes or {})), seed=seed, **sizes)


def one_kind(**keys):
    return {"agents": [PLAIN["agents"][0] | {"noise": 0.0} | keys]}


# speed curves


def slow_seconds(curves, agent, samples):
    """One example after another."""
    if samples == 0:
        return 0.0
    total = float(curves.start[agent])
    for number in range(samples):
        over = min(max(number + 1 - curves.knee[agent], 0.0), 1.0)
        total += curves.slope[agent] * (1 + (curves.beyond[agent] - 1) * over)
    return total


def drawn_curves(seed, agents, *, knees=True, memories=False):
    chance = np.random.default_rng(seed)
    return SpeedCurves.of(
        start=chance.uniform(0, 0.5, agents) * (chance.random(agents) < 0.8),
        slope=np.exp(chance.uniform(-4, 0, agents)),
        knee=chance.integers(1, 12, agents) if knees else np.inf,
        beyond=chance.uniform(1, 5, agents),
        most=chance.integers(4, 20, agents) if memories else np.inf,
    )


@given(seed=st.integers(0, 10_000), samples=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_seconds_are_those_of_one_example_after_another(seed, samples):
    curves = drawn_curves(seed, 3)
    given_out = np.full(3, samples)
    expected = [slow_seconds(curves, agent, samples) for agent in range(3)]
    assert curves.seconds(given_out) == pytest.approx(expected)


@given(seed=st.integers(0, 10_000), total=st.floats(0.01, 60), memories=st.booleans())
@settings(max_examples=150, deadline=None)
@example(seed=17, total=4.0, memories=True)
def test_the_shortest_time_is_what_bisection_finds(seed, total, memories):
    curves, use = drawn_curves(seed, 4, memories=memories), np.array([True, True, False, True])

    def done(seconds):
        return curves.examples(seconds)[use].sum()

    found = curves.shortest(total, use)
    if done(1e9) < total:
        assert found == math.inf
        return
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if done(middle) < total else (low, middle)
    assert found == pytest.approx(high, rel=1e-6, abs=1e-9)


@given(seed=st.integers(0, 10_000), total=st.integers(0, 14), memories=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_whole_shares_are_done_earlier(seed, total, memories):
    curves, use = drawn_curves(seed, 3, memories=memories), np.ones(3, dtype=bool)
    shares = curves.fill(total, use)
    if curves.most.sum() < total:
        assert shares.tolist() == curves.most.tolist()
        return
    assert shares.sum() == total and (shares <= curves.most).all() and (shares >= 0).all()
    best = min(
        float(curves.seconds(np.array(each)).max())
        for each in itertools.product(range(total + 1), repeat=3)
        if sum(each) == total and (np.array(each) <= curves.most).all()
    )
    assert float(curves.seconds(shares).max()) == pytest.approx(best, rel=1e-9)


def test_ten_thousand_agents_are_filled_exactly():
    curves = drawn_curves(1, 10_000)
    shares = curves.fill(320_001, np.ones(10_000, dtype=bool))
    assert shares.sum() == 320_001 and (shares >= 0).all()


# communication and throttling


def slow_communication(latency, megabytes, rate, agents):
    """Rounds of a tree of messages, and each one's share of a ring's traffic."""
    if agents == 1:
        return 0.0
    others = sum(megabytes / agents / rate for _ in range(agents - 1))
    return latency * math.log2(agents) + others


@pytest.mark.parametrize("agents", [1, 2, 3, 16, 1000])
def test_communication_is_latency_by_doublings_and_the_others_shares_of_the_size(agents):
    link = {"latency_seconds": 0.02, "megabytes": 30, "megabytes_per_second": 60}
    truth = world_of({"link": link}).truth()
    expected = slow_communication(0.02, 30, 60, agents)
    assert float(truth.communication(agents)) == pytest.approx(expected)


def test_an_agent_alone_does_not_communicate():
    outcome = world_of({"link": {"latency_seconds": 1.0}}).step((30, 0, 0))
    assert outcome.communication_seconds == 0.0


def test_a_round_with_a_choice_is_so_many_batches_and_one_synchronisation():
    law = {"client_drift": 0.1, "noise_scale": 2.0}
    changes = {
        **one_kind(seconds_per_example=0.01),
        "link": {"latency_seconds": 0.5},
        "law": law,
        "choices": {"sync_intervals": [1, 4], "batch_factors": [1, 2]},
    }
    outcome = world_of(changes).step((10, 10, 10), 3)  # H = 4, m = 2
    assert outcome.seconds == pytest.approx(8 * 0.1 + 0.5 * math.log2(3))
    efficiency = 1 / (1 + 0.1 * 3) * (1 + 2) / (2 + 2)
    assert outcome.progress == pytest.approx(30 * 8 * efficiency)
    assert outcome.paid_seconds == pytest.approx(outcome.seconds / (8 * efficiency))
    assert outcome.agent_seconds == pytest.approx((0.1, 0.1, 0.1))


def slow_heat(uses, rate, above, cool):
    """Which rounds are hot, one agent."""
    heat, hot, rounds = 0.0, False, []
    for use in uses:
        rounds.append(hot)
        heat = min(max(heat + rate * (use(hot) - above), 0.0), 1.2)
        if heat > 1:
            hot = True
        elif heat < cool:
            hot = False
    return rounds


@pytest.mark.parametrize("share", [1.0, 0.7])
def test_heat_builds_with_use_and_goes_when_it_rests(share):
    heat = {"rate": 0.3, "above": 0.8, "cool": 0.4, "slowdown": 3.0}
    keys = {"count": 2, "seconds_per_example": 0.01, "heat": heat}
    world = world_of(one_kind(**keys), rounds=60)
    few = round(10 * share)

    def use_of_second(hot):
        own, other = (3 if hot else 1) * few, (3 if world.hot[0] else 1) * (20 - few)
        return min(own / max(own, other), 1.0)

    found, expected_uses = [], []
    for _ in range(60):
        found.append(bool(world.hot[1]))
        first = bool(world.hot[0])
        own, other = (3 if found[-1] else 1) * few, (3 if first else 1) * (20 - few)
        expected_uses.append(own / max(own, other))
        world.step((20 - few, few))
    expected = slow_heat([lambda hot, use=use: use for use in expected_uses], 0.3, 0.8, 0.4)
    assert found == expected
    assert any(found) == (share == 1.0)


def test_a_hot_agent_is_slower_by_its_factor():
    heat = {"rate": 5.0, "above": 0.5, "cool": 0.1, "slowdown": 3.0}
    world = world_of(one_kind(count=1, seconds_per_example=0.01, heat=heat))
    assert [round(world.step((10,)).seconds, 6) for _ in range(3)] == [0.1, 0.3, 0.3]


def test_beyond_the_knee_each_example_takes_longer():
    world = world_of(one_kind(count=1, seconds_per_example=0.01, knee=5, knee_slope=4.0))
    assert world.step((10,)).seconds == pytest.approx(0.05 + 0.2)


# laws


@pytest.mark.parametrize("form", INTERVAL_FORMS)
@pytest.mark.parametrize("drift", [0.001, 0.1])
def test_a_law_of_the_interval_falls_from_1(form, drift):
    values = interval_efficiency(form, 2.0 ** np.arange(8), drift)
    assert values[0] == 1 and (np.diff(values) <= 1e-12).all() and values[-1] > 0


@pytest.mark.parametrize("form", BATCH_FORMS)
@pytest.mark.parametrize("scale", [0.5, 1.0, 8.0])
def test_a_law_of_the_batch_falls_from_1(form, scale):
    values = batch_efficiency(form, 2.0 ** np.arange(5), scale)
    assert values[0] == 1 and (np.diff(values) <= 1e-12).all()
    assert (values * 2.0 ** np.arange(5) >= 1 - 1e-9).all()  # a larger batch never brings less


# the world's chance


def run(name, *, seed=0, rounds=60, agents=4):
    world = World(read_scenario(name), agents=agents, rounds=rounds, seed=seed)
    return run_policy(world, Equal, clock=ManualClock())


@pytest.mark.parametrize("name", [each for each in shipped() if each != "thousand"])
def test_the_same_seed_gives_the_same_and_another_one_another(name):
    one, two, other = run(name), run(name), run(name, seed=1)
    assert np.array_equal(one.seconds, two.seconds) and np.array_equal(one.shares, two.shares)
    assert not np.array_equal(one.seconds, other.seconds)


def test_policies_meet_the_same_chance_whatever_they_do():
    worlds = [World(read_scenario("failures"), agents=4, rounds=200, seed=3) for _ in range(2)]
    for _ in range(200):
        assert np.array_equal(worlds[0].up, worlds[1].up)
        here = np.flatnonzero(worlds[0].up)
        for world, agent in zip(worlds, (here[0], here[-1]), strict=True):
            shares = np.zeros(world.present, dtype=int)
            shares[agent] = world.total
            world.step(shares)
        slopes = [world.truth().curves.slope for world in worlds]
        assert np.array_equal(*slopes)


def test_noise_is_log_normal_around_the_true_seconds():
    world = world_of({"rounds": 4000} | one_kind(count=1, noise=0.2), rounds=4000)
    logs = [math.log(world.step((10,)).seconds / 10) for _ in range(4000)]
    assert np.std(logs) == pytest.approx(0.2, rel=0.05)
    true = math.log(float(world.truth().curves.slope[0]))
    assert np.mean(logs) == pytest.approx(true, abs=0.02)


def test_agents_that_fail_are_away_as_long_and_as_often_as_the_scenario_says():
    keys = {"count": 50, "failures": {"rounds_up": 50, "rounds_away": 10}}
    world, away = world_of(one_kind(**keys), rounds=1000), []
    for _ in range(1000):
        away.append((~world.up).mean())
        shares = np.where(world.up, world.total // world.up.sum(), 0)
        shares[np.flatnonzero(world.up)[0]] += world.total - shares.sum()
        world.step(shares)
    assert np.mean(away[100:]) == pytest.approx(10 / 60, rel=0.2)


def test_somebody_always_stays():
    failing = {"rounds_up": 1, "rounds_away": 3}
    world = world_of(one_kind(count=3, failures=failing), rounds=300)
    for _ in range(300):
        assert world.up.any()
        shares = np.zeros(3, dtype=int)
        shares[np.flatnonzero(world.up)[0]] = world.total
        world.step(shares)


def test_what_a_dying_agent_had_is_done_again_by_the_others():
    failing = {"rounds_up": 1, "rounds_away": 3}
    changes = one_kind(count=2, seconds_per_example=0.01, failures=failing)
    outcome = world_of(changes).step((10, 10))
    assert outcome.seconds == pytest.approx(0.2)  # 10 of its own, then 10 of the other's
    assert outcome.true_seconds == pytest.approx(0.1)
    assert sum(each != each for each in outcome.agent_seconds) == 1


def test_an_agent_that_is_given_too_much_tries_in_vain_and_the_scheduler_is_told_its_cap():
    changes = one_kind(count=2, seconds_per_example=0.01, most_samples=8)
    outcome = world_of(changes).step((12, 8))
    assert outcome.over_memory == (0,)
    assert outcome.true_seconds == pytest.approx(0.08 + 0.12)
    assert outcome.agent_seconds == pytest.approx((0.12, 0.08))
    world, made = world_of(changes, rounds=1), []
    run_policy(world, lambda each: made.append(Equal(each)) or made[0])
    assert made[0].caps == {0: 5, 1: 5}


def test_joining_agents_come_last_and_tell_their_price():
    changes = {
        "agents": [*one_kind()["agents"], {"name": "new", "seconds_per_example": 0.1, "price": 7}],
        "join": [{"at": 0.5, "of": "new", "count": 2}],
    }
    world, made = world_of(changes, rounds=10), []
    trace = run_policy(world, lambda each: made.append(Equal(each)) or made[0])
    assert made[0].prices == [7.0, 7.0]
    assert (trace.shares[4] > 0).sum() == 4 and (trace.shares[5] > 0).sum() == 6


def test_agents_that_leave_are_gone_so_many_rounds():
    leaving = {"leave": [{"at": 0.2, "agents": [1], "rounds": 3}]}
    trace = run_policy(world_of(leaving, rounds=10), Equal)
    assert (trace.shares[:, 1] == 0).nonzero()[0].tolist() == [2, 3, 4]
    leaving["leave"][0]["at"] = 0.0
    trace = run_policy(world_of(leaving, rounds=10), Equal)
    assert (trace.shares[:, 1] == 0).nonzero()[0].tolist() == [0, 1, 2]


def test_a_swap_exchanges_the_fastest_and_the_slowest():
    world = world_of({"swap": [{"at": 0.5}]}, rounds=2)
    before = world.truth().curves.slope
    world.step((10, 10, 10))
    after = world.truth().curves.slope
    assert after[before.argmin()] == before.max() and after[before.argmax()] == before.min()


def test_a_switch_changes_the_agents_it_names_by_one_of_its_factors():
    world = world_of({"switch": [{"at": 0.5, "factors": [2, 4], "agents": [1]}]}, rounds=2)
    before = world.truth().curves.slope
    world.step((10, 10, 10))
    ratio = world.truth().curves.slope / before
    assert ratio[0] == 1 and ratio[2] == 1 and round(ratio[1], 9) in (2, 4)


def test_a_redraw_changes_the_link_and_the_law_but_not_its_form():
    world = World(read_scenario("laws"), rounds=3, seed=0)
    before = world.truth()
    world.step([world.total, 0, 0, 0])
    after = world.truth()
    assert after.exchange != before.exchange
    assert not np.allclose(after.efficiency, before.efficiency)


def test_progress_is_told_only_where_there_is_a_law():
    made = []
    for name in ("static", "laws"):
        world = World(read_scenario(name), agents=2, rounds=3)
        run_policy(world, lambda each: made.append(Equal(each)) or made[-1])
    assert all(math.isnan(progress) for _, progress in made[0].told)
    assert all(progress > 0 for _, progress in made[1].told)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"agents": 0}, "agents must be from 1 to 100,000, got 0"),
        ({"agents": 10**6}, "agents must be from 1 to 100,000, got 1000000"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(sizes, told):
    with pytest.raises(SettingError) as caught:
        world_of(**sizes)
    assert str(caught.value) == told


@pytest.mark.parametrize("key", ["switch", "swap", "leave"])
def test_events_of_agents_that_are_not_there_are_refused(key):
    event = {"at": 0.5, "agents": [0, 9]} | ({"factors": [2]} if key == "switch" else {})
    with pytest.raises(SettingError, match=rf"{key}.0.agents: there is no agent 9 of 3"):
        world_of({key: [event]})


def test_a_world_that_everybody_leaves_is_refused_with_the_round():
    leaving = {"leave": [{"at": 0.5, "agents": [0, 1, 2]}]}
    for work in (
        lambda: run_policy(world_of(leaving), Equal),
        lambda: run_oracle(scenario_from(PLAIN | leaving)),
    ):
        with pytest.raises(SettingError, match="round 10: all agents are away"):
            work()


def test_shares_that_do_not_add_up_or_go_to_the_absent_are_a_bug():
    with pytest.raises(ValueError, match="30 examples must be given out, got 29"):
        world_of().step((10, 10, 9))
    gone = world_of({"leave": [{"at": 0.0, "agents": [2]}]})
    with pytest.raises(ValueError, match="away were given 10 examples"):
        gone.step((10, 10, 10))


# the oracle


def plans_of(world):
    """Every set of agents, filled as well as can be, with every choice."""
    truth, count = world.truth(), len(world.fleet)
    for bits in itertools.product((False, True), repeat=count):
        use = np.array(bits) & truth.up
        if not use.any():
            continue
        samples = truth.curves.fill(world.total, use)
        if samples.sum() == world.total:
            compute = float(truth.curves.seconds(samples).max())
            active, price = int((samples > 0).sum()), float(truth.price[samples > 0].sum())
            for choice in range(len(world.choices)):
                bring = truth.steps[choice] * truth.efficiency[choice]
                yield float(truth.seconds(compute, active, choice)) / bring, price


@pytest.mark.parametrize("name", [each for each in shipped() if each not in ("thousand",)])
@pytest.mark.parametrize("agents", [2, 6])
def test_no_set_of_agents_and_no_choice_beats_the_oracle(name, agents):
    for seed in range(4):
        world = World(read_scenario(name), agents=agents, rounds=40, seed=seed)
        for _ in range(3):
            oracle = Oracle(world)
            plan, terms = oracle.plan(), world.scenario.reward
            plans = list(plans_of(world))
            fast = terms.slack * min(seconds for seconds, _ in plans)
            best = max(
                worth(terms, oracle.reference, seconds, price)
                for seconds, price in plans
                if seconds <= fast * (1 + 1e-9)
            )
            assert plan.reward >= best * (1 - 1e-9)
            for _ in range(5):
                world.step(plan.samples[: world.present], plan.choice)


@given(seed=st.integers(0, 1000), data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_shares_at_all_beat_the_oracle_without_noise(seed, data):
    name = data.draw(st.sampled_from(["static", "drift", "switch", "memory_cliff", "swap"]))
    world = World(read_scenario(name), agents=4, rounds=10, seed=seed)
    plan = Oracle(world).plan()
    cuts = sorted(data.draw(st.lists(st.integers(0, world.total), min_size=3, max_size=3)))
    shares = np.diff([0, *cuts, world.total])
    assert world.step(shares).true_seconds >= plan.seconds * (1 - 1e-12)


def test_what_the_oracle_expects_is_what_its_plan_takes():
    for name in ("static", "priced", "slow_links", "laws", "memory_cliff"):
        world = World(read_scenario(name), agents=5, seed=2)
        plan = Oracle(world).plan()
        assert world.step(plan.samples, plan.choice).true_seconds == pytest.approx(plan.seconds)


def test_where_agents_throttle_the_oracle_is_the_best_of_the_loads():
    scenario = read_scenario("throttling")
    best = run_oracle(scenario, agents=4, rounds=150).reward.sum()
    for load in LOADS:
        world = World(scenario, agents=4, rounds=150)
        oracle, total = Oracle(world, load=load), 0.0
        for _ in range(150):
            plan = oracle.plan()
            outcome = world.step(plan.samples, plan.choice)
            total += oracle.reward(outcome.paid_seconds, outcome.price)
        assert best >= total * (1 - 1e-12)


def test_the_oracle_beside_itself_has_all_and_adapts_at_once():
    trace = run_oracle(read_scenario("switch"), agents=4, rounds=60)
    score = compare(trace, trace)
    assert (score.time_share_of_oracle, score.reward_share_of_oracle) == (1.0, 1.0)
    assert score.rounds_to_adapt == 0.0


def test_equal_shares_never_adapt_and_noise_does_not_look_like_it():
    scenario = read_scenario("swap")
    noisy = scenario.model_copy(
        update={"agents": tuple(each.model_copy(update={"noise": 0.9}) for each in scenario.agents)}
    )
    own = run_policy(World(noisy, rounds=100, seed=1), Equal)
    oracle = run_oracle(noisy, rounds=100, seed=1)
    assert rounds_to_adapt(own, oracle) == 50.0


def test_the_first_reward_of_equal_shares_is_that_of_the_reference():
    for name in ("static", "priced"):
        quiet = read_scenario(name)
        silent = tuple(each.model_copy(update={"noise": 0.0}) for each in quiet.agents)
        quiet = quiet.model_copy(update={"agents": silent})
        trace = run_policy(World(quiet, agents=4, rounds=1), Equal)
        assert trace.reward[0] == pytest.approx(quiet.reward.alpha + quiet.reward.beta)
        assert trace.expected_reward[0] == pytest.approx(trace.reward[0])


def test_what_a_plan_takes_in_the_mean_is_the_mean_of_many_rounds():
    world = world_of(one_kind(count=3, seconds_per_example=0.01, noise=0.2), rounds=3000)
    outcomes = [world.step((10, 10, 10)) for _ in range(3000)]
    mean = np.mean([each.seconds for each in outcomes])
    assert outcomes[0].expected_seconds == pytest.approx(mean, rel=0.05)
    assert outcomes[0].true_seconds == pytest.approx(0.1)


def test_plans_beyond_the_slack_are_counted():
    class Cheapest(Equal):
        def allocate_tasks(self, total):
            self.decisions = Assignment(samples=(total, 0))
            return (total, 0)

    def share(make, slack):
        changes = {
            **one_kind(count=2, seconds_per_example=0.01),
            "reward": {"beta": 1.0, "slack": slack},
        }
        own = run_policy(world_of(changes), make)
        return compare(own, run_oracle(scenario_from(PLAIN | changes))).share_over_slack

    assert share(Cheapest, 1.25) == 1.0  # twice the shortest time
    assert share(Cheapest, 2.0) == share(Equal, 1.25) == 0.0


def test_the_clock_is_the_policys_and_the_ticks_are_all_there():
    class Slow(Equal):
        def allocate_tasks(self, total):
            clock.advance(0.25)
            return super().allocate_tasks(total)

    clock, ticks = ManualClock(), []
    trace = run_policy(world_of(rounds=4), Slow, tick=ticks.append, clock=clock)
    assert trace.decide_seconds == 0.25 and ticks == [0.25, 0.5, 0.75, 1.0]
    assert trace.reasons == ((0, "3 agents"),)


def test_ten_thousand_agents_are_simulated():
    world = World(read_scenario("failures"), agents=10_000, rounds=2)
    trace = run_policy(world, Equal)
    assert world.first == 10_000 and len(trace.seconds) == 2
