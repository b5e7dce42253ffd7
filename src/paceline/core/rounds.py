"""What travels between agents and scheduling policies: small frozen values."""

from __future__ import annotations

from dataclasses import dataclass

NAN = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentReading:
    """What is known of one agent after a round.

    Attributes:
        samples: Examples that it worked on in the round; 0 where it had none.
        seconds: What it computed for, waiting and communication left out; 0 where it had no
            work, nan where it is dead or away.
        price: Of one second, in any unit that all agents share.
        most_samples: More do not fit into its memory; None where no limit is known.
    """

    samples: int = 0
    seconds: float = 0.0
    price: float = 1.0
    most_samples: int | None = None

    @property
    def is_up(self) -> bool:
        """Whether it can be given work.

        >>> AgentReading(seconds=NAN).is_up
        False
        """
        return self.seconds == self.seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of the things that cannot be worked out but only tried.

    Attributes:
        sync_interval: Local steps between two synchronisations; 1 sums gradients at every
            step.
        batch_factor: What the global batch is multiplied by.
    """

    sync_interval: int = 1
    batch_factor: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundReading:
    """What a scheduling policy sees before a round, and after it.

    Attributes:
        round: Rounds done so far.
        total: Examples to share out in the next round (before ``batch_factor``).
        agents: One for each agent, dead ones too; their order never changes, joining agents
            come last.
        communication_seconds: What the last round needed beside the slowest agent's seconds.
        choices: What may be chosen from; the first is the plain one.
        chosen: Number of the choice that the last round was done with.
        reward: ``α · T_ref / T + β · C_ref / C`` of the last round; nan before the first.
        progress: Units of progress that the last round brought: examples times their
            statistical efficiency; nan where it is not known.
    """

    round: int
    total: int
    agents: tuple[AgentReading, ...]
    communication_seconds: float = 0.0
    choices: tuple[Choice, ...] = (Choice(),)
    chosen: int = 0
    reward: float = NAN
    progress: float = NAN


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What the agents are to do in a round.

    Attributes:
        samples: Examples for each agent, in the order of the readings; they sum to the
            round's total, and are 0 for those that are dead.
        choice: Number of the choice to do the round with.
        expected_seconds: What each agent is thought to need; nan where nothing is known.
        reason: Why, in a few words; a new reason is a decision worth a ledger row.
    """

    samples: tuple[int, ...]
    choice: int = 0
    expected_seconds: tuple[float, ...] = ()
    reason: str = ""
