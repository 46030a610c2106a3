"""The methods of attribution by name. One more is one more line, and a row in tests/contracts/test_attributions.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.attribution.base import Attribution
from kerasft.attribution.gradient_times_input import GradientTimesInput
from kerasft.attribution.integrated_gradients import POINTS, IntegratedGradients
from kerasft.attribution.occlusion import Occlusion
from kerasft.attribution.shap import TreeShap
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.tasks.base import Task

ATTRIBUTIONS: dict[str, type[Attribution]] = {
    method.name: method for method in (IntegratedGradients, GradientTimesInput, Occlusion, TreeShap)
}
METHODS = tuple(ATTRIBUTIONS)
DEFAULT = IntegratedGradients.name


def create(name: str, points: int = POINTS) -> Attribution:
    """A method with its settings. Raises UserError for a name or a number that there is not.

    Args:
        name: one of METHODS.
        points: of integrated gradients, to begin with.
    """
    if name not in ATTRIBUTIONS:
        raise UserError(f"--method {name}: there are {', '.join(METHODS)}")
    if points < 1:
        raise UserError(f"--points: {points} is too few; use 1 or more")
    return IntegratedGradients(points) if name == IntegratedGradients.name else ATTRIBUTIONS[name]()


def check_explains(task: Task) -> None:
    """Raises UserError where the answers of a task have no numbers that words could be credited with."""
    if not task.explains:
        raise UserError(
            f"kerasft explain: the answers of a {task.config.task.name} are not explained word by word; give a run of "
            "a task with labels, entities, relations or answers in a text"
        )
