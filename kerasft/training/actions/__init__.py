"""What happens beside the steps of a training: a list of actions, each one file."""

from kerasft.training.actions.base import Action, Measured, Running, Training
from kerasft.training.actions.progress import RecordCurves, ShowProgress
from kerasft.training.actions.saving import SaveCheckpoints
from kerasft.training.actions.signals import StopOnSignal

__all__ = ["Action", "Measured", "Running", "Training", "with_usual_actions"]


def with_usual_actions(actions: tuple[Action, ...] = ()) -> list[Action]:
    """Those of every training, and others before the one that may end it."""
    return [RecordCurves(), SaveCheckpoints(), ShowProgress(), *actions, StopOnSignal()]
