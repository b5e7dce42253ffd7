"""What a controller is, and what kinds of them share."""

from paceline.controllers.base.controller import Controller
from paceline.controllers.base.schedule import Schedule

__all__ = ["Controller", "Schedule"]
