"""The role of a network, and what networks share."""

from paceline.models.base.model import Headed, Model, Standardised

__all__ = ["Headed", "Model", "Standardised"]
