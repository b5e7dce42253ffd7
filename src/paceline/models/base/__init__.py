"""The role of a network, and what networks share."""

from paceline.models.base.model import Model, Standardised

__all__ = ["Model", "Standardised"]
