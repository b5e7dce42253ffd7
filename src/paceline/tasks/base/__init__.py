"""The role of a task and the goals that tasks share."""

from paceline.tasks.base.classification import Classification
from paceline.tasks.base.find_goal import find_goal, goal_from_json
from paceline.tasks.base.goal import Goal
from paceline.tasks.base.regression import Regression
from paceline.tasks.base.task import Claim, Encoded, Judged, Task

__all__ = [
    "Claim",
    "Classification",
    "Encoded",
    "Goal",
    "Judged",
    "Regression",
    "Task",
    "find_goal",
    "goal_from_json",
]
