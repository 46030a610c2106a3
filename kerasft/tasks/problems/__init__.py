"""The three kinds of thing a text can be given: one label, several labels, or a number."""

from kerasft.tasks.problems.multi_label import MultiLabel
from kerasft.tasks.problems.regression import Regression
from kerasft.tasks.problems.single_label import SingleLabel

PROBLEMS = {"single_label": SingleLabel, "multi_label": MultiLabel, "regression": Regression}
