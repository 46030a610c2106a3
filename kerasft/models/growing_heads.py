"""Heads that grow: a new head takes over what a saved one has for each label, by its name.

The kernel and bias of the last layer have a column for each logit, a linear chain of tags (`heads.crf.Chain`) a row and
a column. They are put where the new head has the logit of that name; all that is new stays as the initialiser made it.
What has no axis of logits, such as a pooler, is copied whole. So a label's logit has the same bits before training,
whatever its place, and whatever came beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from kerasft.errors import UserError
from kerasft.models.named_weights import read_variables
from kerasft.quoting import listed

# Variables of a head that have axes of logits, and which these are.
LOGIT_AXES: Mapping[str, tuple[int, ...]] = {
    "classifier/kernel": (1,),
    "classifier/bias": (0,),
    "chain/transitions": (0, 1),
    "chain/start": (0,),
}


def old_labels_first(old: Sequence[str], labels: Iterable[str]) -> list[str]:
    """The labels of a model that grows: the old ones in their order, then those that are new, sorted."""
    return [*old, *sorted(set(labels) - set(old))]


def grow_head(
    file: Path,
    variables: Mapping[str, keras.Variable],
    old: Sequence[str],
    new: Sequence[str],
    dropped: Collection[str] = (),
) -> None:
    """Gives a head the values that a saved head of the same kind has; nothing is assigned unless all of it fits.

    Args:
        file: of the saved head; see `kerasft.models.named_weights.save_variables`.
        variables: of the new head, by path, with the values of their initialisers.
        old: names of the saved head's logits, in their order.
        new: names of the new head's.
        dropped: names of logits that may vanish.

    Raises:
        UserError: a name vanished that is not in `dropped`, or the heads are of different kinds or sizes.
    """
    if vanished := [name for name in old if name not in new and name not in dropped]:
        raise UserError(
            f"{file}: the new head has no {listed(vanished)}; keep these labels in task.labels, or say that they may go"
        )
    saved = read_variables(file, list(variables))
    if differing := sorted(saved.keys() ^ variables.keys()):
        owner, other = ("saved", "new") if differing[0] in saved else ("new", "saved")
        raise UserError(
            f"{file}: the {owner} head has {differing[0]}, and the {other} one has not; use the settings of task and "
            "model.preset that the saved run has"
        )
    index_pairs = [(new.index(name), index) for index, name in enumerate(old) if name in new]
    values = {
        name: _grown(file, name, variable, saved[name], index_pairs, (len(old), len(new)))
        for name, variable in variables.items()
    }
    for name, variable in variables.items():
        variable.assign(values[name])


def _grown(
    file: Path,
    name: str,
    variable: keras.Variable,
    saved: np.ndarray,
    index_pairs: Sequence[tuple[int, int]],
    logits: tuple[int, int],
) -> np.ndarray:
    """The new value of a variable.

    Args:
        file: of the saved head, for the message.
        name: of the variable.
        variable: as its initialiser made it.
        saved: its old value.
        index_pairs: (new place, old place) of each logit that stays.
        logits: how many there were, and how many there are.
    """
    axes, shape = LOGIT_AXES.get(name, ()), tuple(variable.shape)
    expected = tuple(logits[0] if axis in axes else size for axis, size in enumerate(shape))
    if saved.shape != expected or any(shape[axis] != logits[1] for axis in axes):
        raise UserError(
            f"{file}: {name} has the shape {saved.shape}, and {expected} is needed to grow from {logits[0]} to "
            f"{logits[1]} logits; use the model.preset and the labels of the saved run"
        )
    if not axes:
        return saved
    to, source = (list(indices) for indices in zip(*index_pairs)) if index_pairs else ([], [])
    value = np.array(keras.ops.convert_to_numpy(variable))
    value[_at(axes, to, value.ndim)] = saved[_at(axes, source, saved.ndim)]
    return value


def _at(axes: tuple[int, ...], indices: list[int], rank: int) -> tuple:
    """An index of these places along each of these axes, and of all of the others."""
    if len(axes) == rank:
        return np.ix_(*[indices] * rank)
    return tuple(indices if axis in axes else slice(None) for axis in range(rank))
