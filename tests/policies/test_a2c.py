"""a2c: moves as a network says that was trained before."""

from __future__ import annotations

from paceline.policies.base.networks import find_network


def test_the_shipped_network_is_small_and_comes_to_good_choices(law):
    size = sum(each.size for layer in find_network("", "a2c").layers for each in layer)
    assert 4 * size < 200_000
    shares, _ = law.drive(law.made("a2c", guide="equal"), law.Cluster(k=0.01, link=2.0), 150)
    assert law.mean(shares[50:]) > 0.85


def test_it_goes_on_identically_from_a_state_that_went_through_json(law):
    assert law.goes_on_identically("a2c", law.Cluster(), guide="equal")
