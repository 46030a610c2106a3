"""The three kinds of thing a text can be given: one label, several labels, or a number."""

from __future__ import annotations

from typing import Any

from kerasft.config.schema import Config
from kerasft.tasks.problems.multi_label import MultiLabel
from kerasft.tasks.problems.regression import Regression
from kerasft.tasks.problems.single_label import SingleLabel
from kerasft.tasks.problems.structured_label import StructuredLabel

PROBLEMS = {"single_label": SingleLabel, "multi_label": MultiLabel, "regression": Regression}


def create_problem(config: Config, state: dict[str, Any]) -> SingleLabel | MultiLabel | Regression:
    """The problem that `task.problem` names; a single label may be out of scope or a path."""
    if config.task.out_of_scope is not None or config.task.separator is not None:
        return StructuredLabel(config, state)
    return PROBLEMS[config.task.problem](config, state)
