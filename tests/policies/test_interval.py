"""interval: no more local steps than a slow link makes necessary."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from paceline.core.errors import SettingError
from paceline.core.rounds import Assignment

STEPS = (1, 2, 4, 8, 16, 32, 64)


def lived(law, policy, cluster, rounds, seen=None):
    """The interval of each round."""
    seen, found = seen or law.start(), []
    for _ in range(rounds):
        taken = policy.decide(seen)
        assert taken == policy.decide(seen) and sum(taken.samples) == law.TOTAL
        after = cluster.done(seen, taken)
        policy.learn(seen, taken, after)
        found.append(law.CHOICES[taken.choice].sync_interval)
        seen = after
    return found, seen


@pytest.mark.parametrize("link", [0.001, 0.01, 0.03, 0.06, 0.1, 0.25])
def test_the_interval_is_the_smallest_that_leaves_the_link_its_share(law, link):
    cluster = law.Cluster(k=0.0, link=link, noise=0.0)
    found, _ = lived(law, law.made("interval", guide="equal"), cluster, 80)
    wanted = next(h for h in STEPS if link / (h * cluster.second + link) <= 0.15)
    assert found[-1] == min(wanted, 16)


def test_it_goes_up_step_by_step_and_never_over_the_most(law):
    cluster = law.Cluster(k=0.0, link=50.0, noise=0.0)
    found, _ = lived(law, law.made("interval", guide="equal", most=8), cluster, 80)
    assert set(found) == {1, 2, 4, 8} and found == sorted(found)


def test_it_comes_back_when_the_link_is_fast_again(law):
    policy = law.made("interval", guide="equal")
    _, seen = lived(law, policy, law.Cluster(k=0.0, link=0.3, noise=0.0), 80)
    found, _ = lived(law, policy, law.Cluster(k=0.0, link=0.002, noise=0.0), 10, seen)
    assert found[0] == 16 and found[-1] == 1


def test_it_goes_back_to_exact_steps_where_local_ones_bring_less(law):
    policy = law.made("interval", guide="equal")
    cluster = law.Cluster(k=3.0, link=0.1, noise=0.0)  # a second local step is worth a quarter
    found, seen = lived(law, policy, cluster, 40)
    assert 2 in found and found[-20:] == [1] * 20
    first = found.index(2)
    assert found[first : first + 10].count(2) <= 6
    assert "back to one every 1" in policy.decide(seen).reason


def test_it_tries_again_and_rests_twice_as_long(law):
    policy = law.made("interval", guide="equal", rest=20, gated=False)
    found, _ = lived(law, policy, law.Cluster(k=3.0, link=0.1, noise=0.0), 150)
    begins = [at for at in range(1, 150) if found[at] == 2 and found[at - 1] == 1]
    assert len(begins) == 3
    assert begins[2] - begins[1] > 1.5 * (begins[1] - begins[0])


def test_a_synchronisation_within_every_step_gets_no_rarer_and_is_left_alone(law):
    class Within(law.Cluster):
        def done(self, seen, taken):
            self.link = 0.1 * law.CHOICES[taken.choice].sync_interval
            return super().done(seen, taken)

    found, _ = lived(law, law.made("interval", guide="equal"), Within(k=0.0, noise=0.0), 30)
    assert 2 in found and found[-1] == 1


@pytest.mark.parametrize("rounds", range(7, 13))
def test_a_link_that_becomes_slow_just_then_is_not_taken_for_one_within_the_steps(law, rounds):
    policy = law.made("interval", guide="equal")
    _, seen = lived(law, policy, law.Cluster(k=0.0, link=0.025, second=0.02, noise=0.0), rounds)
    slow = law.Cluster(k=0.0, link=0.065, second=0.02, noise=0.0)
    found, _ = lived(law, policy, slow, 52, seen)
    assert found[-1] == 16


def test_a_little_noise_does_not_make_it_restless(law):
    cluster = law.Cluster(k=0.002, link=0.12, noise=0.05)
    found, _ = lived(law, law.made("interval", guide="equal"), cluster, 120)
    assert sum(here != there for here, there in pairwise(found)) <= 4
    assert found[-1] == 8


def test_it_goes_on_identically_from_a_state_that_went_through_json(law):
    for rounds in (3, 11, 40):
        assert law.goes_on_identically("interval", law.Cluster(), rounds, guide="equal")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"share": 0.0}, "share must be over 0"),
        ({"share": 1.0}, "share must be over 0 and under 1, got 1"),
        ({"share": math.nan}, "share must be"),
        ({"most": 0}, "most must be at least 1, got 0"),
        ({"rest": 0}, "rest must be at least 1, got 0"),
    ],
)
def test_settings_out_of_their_range_are_refused(law, settings, why):
    with pytest.raises(SettingError, match=why):
        law.made("interval", **settings)


def test_it_learns_where_the_guide_gives_all_to_one_agent(law):
    cluster = law.Cluster(k=0.0, link=0.1, noise=0.0, alone=1.0)
    policy = law.made("interval", guide="equal")
    policy._guide.decide = lambda seen: Assignment(samples=(law.TOTAL, 0))
    cluster.done = _linked(cluster.done)
    found, _ = lived(law, policy, cluster, 40)
    assert found[-1] == 8


def _linked(done):
    """One agent has a link as well."""

    def with_link(seen, taken):
        return replace(done(seen, taken), communication_seconds=0.1)

    return with_link
