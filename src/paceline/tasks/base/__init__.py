"""The role of a task and the goals that tasks share."""

from paceline.tasks.base.goal import Classification, Goal, Regression, find_goal, goal_from_json
from paceline.tasks.base.task import Encoded, Task

__all__ = [
    "Classification",
    "Encoded",
    "Goal",
    "Regression",
    "Task",
    "find_goal",
    "goal_from_json",
]
