"""An environment by its id: found, made, and what is said where it cannot be."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from paceline.core.errors import DataError, MissingExtra
from paceline.data.environment import STEPS, Environment


@pytest.fixture
def _gymnasium():
    return pytest.importorskip("gymnasium")


@pytest.mark.parametrize("place", ["CartPole-v1", "ALE/Pong-v5", "my_module:Mine-v0"])
def test_an_id_is_recognised(place):
    assert Environment.recognises(place)


@pytest.mark.parametrize("place", ["CartPole", "digits", "a b-v1", "photos-v1.zip", None])
def test_what_is_no_id_is_not(place):
    assert not Environment.recognises(place)


def test_a_folder_of_that_name_is_a_folder(tmp_path):
    (tmp_path / "photos-v2").mkdir()
    assert not Environment.recognises("photos-v2")


def test_its_examples_are_what_a_random_policy_sees_and_does(opened, _gymnasium):
    corpus = opened("CartPole-v1")
    (seen,) = corpus.train.inputs
    assert corpus.kind == "environment" and seen.shape == (STEPS, 4)
    assert set(np.unique(corpus.train.targets)) == {0, 1}


def test_an_unknown_id_is_told_with_the_nearest(_gymnasium):
    with pytest.raises(DataError, match="no environment 'CartPol-v1'; did you mean 'CartPole-v1'"):
        Environment.make("CartPol-v1")


def test_a_module_that_is_not_there_is_named(_gymnasium):
    with pytest.raises(DataError, match="there is no module 'no_such_module'"):
        Environment.make("no_such_module:Mine-v0")


def test_an_environment_that_needs_more_says_what(_gymnasium, monkeypatch):
    def make(place, render_mode):
        raise _gymnasium.error.DependencyNotInstalled("Box2D is not installed,\nrun this")

    monkeypatch.setattr(_gymnasium, "make", make)
    with pytest.raises(DataError, match="more than gymnasium: Box2D is not installed, run this"):
        Environment.make("CarRacing-v3")


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra, match=r"paceline\[rl\]"):
        Environment.make("CartPole-v1")
