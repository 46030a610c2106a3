"""The three kinds of thing a text can be given: one label, several labels, or a number."""

from __future__ import annotations

from typing import Any

from kerasft.config.schema import Config
from kerasft.config.tasks import TextClassificationConfig
from kerasft.tasks.problems.multi_label import MultiLabel
from kerasft.tasks.problems.problem import Problem
from kerasft.tasks.problems.regression import Regression
from kerasft.tasks.problems.single_label import SingleLabel
from kerasft.tasks.problems.structured_label import StructuredLabel

PROBLEMS = {"single_label": SingleLabel, "multi_label": MultiLabel, "regression": Regression}


def create_problem(config: Config, section: TextClassificationConfig, state: dict[str, Any]) -> Problem:
    """The problem that `task.problem` names; a single label may be out of scope or a path."""
    if section.out_of_scope is not None or section.separator is not None:
        return StructuredLabel(config, section, state)
    return PROBLEMS[section.problem](config, section, state)
