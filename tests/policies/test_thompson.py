"""thompson: what is known is worked out, the law of the rest is learnt."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paceline.core.errors import SettingError
from paceline.core.rounds import Choice
from paceline.policies.base.efficiency import Efficiency
from paceline.policies.base.grid import Grid


@pytest.mark.parametrize(("k", "link"), [(0.002, 5.0), (0.02, 1.0), (0.1, 0.3)])
def test_it_finds_nearly_the_best_interval_and_batch(law, k, link):
    shares, _ = law.drive(law.made("thompson", guide="equal"), law.Cluster(k=k, link=link), 80)
    assert law.mean(shares[30:]) > 0.95


def test_it_follows_a_link_that_becomes_slow_at_once(law):
    policy = law.made("thompson", guide="equal")
    _, seen = law.drive(policy, law.Cluster(k=0.002, link=0.02), 40)
    shares, _ = law.drive(policy, law.Cluster(k=0.002, link=5.0), 30, seen)
    assert law.mean(shares[3:]) > 0.9


def test_it_notices_that_the_law_has_changed(law):
    policy = law.made("thompson", guide="equal")
    _, seen = law.drive(policy, law.Cluster(k=0.001, link=2.0), 60)
    shares, _ = law.drive(policy, law.Cluster(k=0.5, link=2.0), 60, seen)
    assert law.mean(shares[20:]) > 0.9


def test_a_law_of_another_form_is_learnt_too(law):
    class Cliff(law.Cluster):
        def efficiency(self, choice):
            return math.exp(-(((choice.sync_interval - 1) / 12) ** 2)) / choice.batch_factor**0.3

    shares, _ = law.drive(law.made("thompson", guide="equal"), Cliff(link=2.0), 120)
    assert law.mean(shares[40:]) > 0.85


def test_one_agent_alone_is_used_where_a_synchronisation_costs_more(law):
    policy = law.made("thompson", guide="equal")
    cluster = law.Cluster(k=5.0, phi=0.1, link=20.0, alone=1.2)
    _, seen = law.drive(policy, cluster, 30)
    taken = policy.decide(seen)
    assert sorted(taken.samples) == [0, law.TOTAL] and "alone" in taken.reason


def test_the_law_is_the_same_as_by_trying_every_one_in_turn():
    grid = Grid(tuple(Choice(sync_interval=h, batch_factor=m) for h in (1, 8) for m in (1.0, 4.0)))
    belief = Efficiency(grid)
    logs = [
        (number, -q * np.log1p((k * (h - 1)) ** p) + b)
        for number, (p, q, k, h, b) in enumerate([(1, 1, 0.1, 8, 0.0)])
    ]
    assert logs[0][1] == pytest.approx(-math.log(1.7))
    for value in (-0.5, -0.6, -0.7):
        belief.observe(2, value)
    # the slow twin: one run of all three, no change of law, every law by itself
    counts, sums, deviation = belief._counts[0], belief._sums[0], belief._deviation
    expected = np.zeros_like(belief._prior, dtype=float)
    for i, first in enumerate(belief._by_interval):
        for j, second in enumerate(belief._by_factor):
            score = 0.0
            for h in range(2):
                for m in range(2):
                    law = float(first[h]) + float(second[m])
                    score += sums[h, m] * law - 0.5 * counts[h, m] * law**2
            expected[i, j] = belief._prior[i, j] * math.exp(score / deviation**2)
    expected /= expected.sum()
    assert np.allclose(belief._each[0].reshape(expected.shape), expected, rtol=1e-3, atol=1e-7)


def test_drawn_laws_scatter_about_the_expected_one():
    grid = Grid((Choice(), Choice(sync_interval=16)))
    belief = Efficiency(grid)
    for _ in range(20):
        belief.observe(1, math.log(0.3))
    drawn = belief.draw(np.random.default_rng(0), 4000)
    assert drawn == pytest.approx(belief.expected(), abs=0.02)


def test_it_goes_on_identically_from_a_state_that_went_through_json(law):
    assert law.goes_on_identically("thompson", law.Cluster(), guide="equal")


@pytest.mark.parametrize("laws", [0, -1, 10_001])
def test_a_number_of_laws_out_of_its_range_is_refused(law, laws):
    with pytest.raises(SettingError, match=f"laws must be from 1 to 10000, got {laws}"):
        law.made("thompson", laws=laws)


def test_a_guide_that_needs_a_guide_is_refused(law):
    with pytest.raises(SettingError, match="guide must be a policy that needs no guide"):
        law.made("thompson", guide="sarsa")
    with pytest.raises(SettingError, match="did you mean 'equal'"):
        law.made("thompson", guide="eqal")
