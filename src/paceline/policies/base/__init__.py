"""What a scheduling policy is, and the arithmetic that several of them share."""

from paceline.policies.base.policy import Policy, Terms

__all__ = ["Policy", "Terms"]
