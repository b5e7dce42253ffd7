"""A cluster of equal agents under a law, and a policy that is driven through it."""

from __future__ import annotations

import json
import math
import random

from paceline.core import catalog
from paceline.core.rounds import AgentReading, Choice, RoundReading
from paceline.policies.base import Terms

CHOICES = tuple(
    Choice(sync_interval=interval, batch_factor=float(factor))
    for interval in (1, 2, 4, 8, 16, 32, 64)
    for factor in (1, 2, 4)
)
TOTAL = 40


class Cluster:
    """Two agents; ``k`` and ``phi`` are the law's, ``link`` the seconds of a synchronisation."""

    def __init__(self, *, k=0.02, phi=4.0, link=1.0, second=0.1, noise=0.1, alone=2.0):
        self.k, self.phi, self.link, self.second, self.noise = k, phi, link, second, noise
        self.alone = alone  # one agent takes so many times as long as both

    def efficiency(self, choice):
        drift = 1 + self.k * (choice.sync_interval - 1)
        return (1 + self.phi) / (choice.batch_factor + self.phi) / drift

    def speed(self, choice):
        """Of progress in a second."""
        batches = choice.sync_interval * choice.batch_factor
        return self.efficiency(choice) * batches / (batches * self.second + self.link)

    def best(self):
        return max(1 / (self.second * self.alone), *map(self.speed, CHOICES))

    def worth(self, taken):
        """Of an assignment over the best one's."""
        if sum(count > 0 for count in taken.samples) == 1:
            return 1 / (self.second * self.alone) / self.best()
        return self.speed(CHOICES[taken.choice]) / self.best()

    def done(self, seen, taken):
        """The reading after a round, with chance that hangs on its number alone."""
        choice = CHOICES[taken.choice]
        wobble = math.exp(random.Random(seen.round).gauss(0, self.noise))
        working = sum(count > 0 for count in taken.samples)
        second = self.second * (self.alone if working == 1 else 1.0)
        agents = tuple(
            AgentReading(samples=count, seconds=second if count else 0.0) for count in taken.samples
        )
        batches = choice.sync_interval * choice.batch_factor
        return RoundReading(
            round=seen.round + 1,
            total=TOTAL,
            agents=agents,
            communication_seconds=self.link if working > 1 else 0.0,
            choices=CHOICES,
            chosen=taken.choice,
            reward=1.0,
            progress=batches * TOTAL * self.efficiency(choice) * wobble,
        )


def start(agents=2, choices=CHOICES):
    return RoundReading(round=0, total=TOTAL, agents=(AgentReading(),) * agents, choices=choices)


def made(name, seed=0, **settings):
    return catalog.build(catalog.find("policies", name), settings, Terms(seed=seed))


def drive(policy, cluster, rounds, seen=None):
    """Each round's worth over the best choice's, and the last reading."""
    seen, shares = seen or start(), []
    for _ in range(rounds):
        taken = policy.decide(seen)
        assert taken == policy.decide(seen) and sum(taken.samples) == TOTAL
        after = cluster.done(seen, taken)
        policy.learn(seen, taken, after)
        shares.append(cluster.worth(taken))
        seen = after
    return shares, seen


def mean(values):
    return sum(values) / len(values)


def goes_on_identically(name, cluster, rounds=40, **settings):
    """Whether a copy that was made through JSON decides as the original does."""
    policy, copy = made(name, **settings), made(name, **settings)
    _, seen = drive(policy, cluster, rounds)
    state = json.loads(json.dumps(policy.state_dict(), allow_nan=False))
    copy.load_state_dict(state)
    for _ in range(20):
        taken, again = policy.decide(seen), copy.decide(seen)
        if taken != again:
            return False
        after = cluster.done(seen, taken)
        for each in (policy, copy):
            each.learn(seen, taken, after)
        seen = after
    return policy.state_dict() == copy.state_dict()


def lessons_of(name, rounds=60):
    """A tabular policy after some rounds, and a learner of that name after the same lessons."""
    policy = made(name, guide="equal", gated=False)
    _, seen = drive(policy, Cluster(), 1)
    lessons, learn = [], policy._choices.learn
    policy._choices.learn = lambda *given: (lessons.append(given), learn(*given))
    drive(policy, Cluster(), rounds, seen)
    twin = catalog.find("learners", name)(5, step_size=0.3, discount=0.6)
    for each in lessons:
        twin.learn(*each)
    assert len(lessons) > 2 * rounds / 3
    return policy, twin
