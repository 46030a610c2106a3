"""Texts and labels of a caller, in Python's, NumPy's or TensorFlow's form -> columns of plain values."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.quoting import listed, quoted
from kerasft.tasks.problems.names import NoName, identity, indices, name_of

_STRINGS = ("U", "S", "O")  # kinds of NumPy's types that hold texts


def holds_text(x: Any) -> bool:
    """Whether data are strings, and not what a preprocessor has made of them: the first leaf says."""
    if isinstance(x, tf.data.Dataset):
        return any(getattr(spec, "dtype", None) == tf.string for spec in tf.nest.flatten(x.element_spec))
    if isinstance(x, (tf.Tensor, tf.RaggedTensor)):
        return x.dtype == tf.string
    if isinstance(x, np.ndarray):
        return x.dtype.kind in _STRINGS
    if isinstance(x, Mapping):
        return any(map(holds_text, x.values()))
    if isinstance(x, (list, tuple)) or hasattr(x, "iloc"):  # a column of pandas, too
        return any(map(holds_text, list(x)[:1])) if not isinstance(x, tuple) else any(map(holds_text, x))
    return isinstance(x, (str, bytes))


def plain(values: Any) -> Any:
    """Arrays and tensors, ragged ones, too, as lists; bytes as text."""
    if isinstance(values, (tf.Tensor, tf.RaggedTensor)):
        values = values.numpy() if isinstance(values, tf.Tensor) else values.to_list()
    elif isinstance(values, tf.compat.v1.ragged.RaggedTensorValue):
        values = values.to_list()
    if isinstance(values, (np.ndarray, np.generic)) or hasattr(values, "iloc"):
        values = values.tolist()
    if isinstance(values, bytes):
        return values.decode("utf-8", "replace")
    if isinstance(values, (list, tuple)):
        return [plain(value) for value in values]
    if isinstance(values, Mapping):
        return {plain(name): plain(value) for name, value in values.items()}
    return values


def columns_of(x: Any, names: Sequence[str], what: str = "texts") -> dict[str, list[Any]]:
    """Texts -> a list for each name, all as long.

    Args:
        x: of one name: a list or array. Of several: a dict of such, a tuple of such, or a list of dicts.
        names: of the columns.
        what: they are, for messages.

    Raises:
        UserError: a column is missing, or they are not as long as each other.
    """
    need = f"a list of {what}" if len(names) == 1 else f"a dict or a tuple of {', '.join(names)}"
    if isinstance(x, (str, bytes)):
        raise UserError(f"{quoted(x)} is one text; give {need}")
    if isinstance(x, tuple) and len(names) > 1:
        if len(x) != len(names):
            raise UserError(f"there are {len(x)} columns of {what}; give {need}")
        x = dict(zip(names, x))
    if not isinstance(x, Mapping):
        x = plain(x)
        if not isinstance(x, list):
            raise UserError(f"{quoted(x)} is no list; give {need}")
        if len(names) == 1 and not all(isinstance(row, Mapping) and names[0] in row for row in x):
            x = {names[0]: x}
        elif all(isinstance(row, Mapping) and set(names) <= set(row) for row in x):
            x = {name: [row[name] for row in x] for name in names}
        else:
            raise UserError(f"there are rows without {' or '.join(names)}; give {need}")
    if missing := [name for name in names if name not in x]:
        raise UserError(f"there is no {missing[0]!r} among {listed(map(str, x))}; give {need}")
    columns = {name: plain(x[name]) for name in names}
    check_lengths(columns)
    return columns


def check_lengths(columns: Mapping[str, Any]) -> None:
    """Raises UserError where columns are not lists of one length."""
    for name, values in columns.items():
        if not isinstance(values, list):
            raise UserError(f"{name}: {quoted(values)} is no list; give a list, with a value for each text")
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        told = " and ".join(f"{count} of {name}" for name, count in counts.items())
        raise UserError(f"there are {told}; give as many of each")
    if not all(counts.values()):
        raise UserError(f"there are no {next(iter(columns))}s; give at least one")


class LabelNames:
    """The labels of a model, by name or number.

    Args:
        labels: their names, in order.
    """

    def __init__(self, labels: Sequence[str]):
        self.labels = list(labels)
        self._known = indices(self.labels)

    def name(self, value: Any, where: str) -> str:
        """A name or a number from 0 -> the name. Raises UserError where there is no such label."""
        if isinstance(value, list):
            fix = "give one label a text; of one-hot rows take argmax(axis=1)"
            raise UserError(f"{where}: the label is {quoted(value)}, a list; {fix}")
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value < len(self.labels):
                fix = f"numbers are 0 to {len(self.labels) - 1}, of {listed(self.labels)}"
                raise UserError(f"{where}: there is no label with the number {value}; {fix}")
            return self.labels[value]
        try:
            name = name_of(value)
        except NoName:
            raise UserError(f"{where}: the label is {quoted(value)}; one of {listed(self.labels)} is needed") from None
        if identity(name) not in self._known:
            near = difflib.get_close_matches(name, self.labels, 1)
            fix = f"did you mean {near[0]!r}?" if near else f"there are: {listed(self.labels)}"
            raise UserError(f"{where}: there is no label {quoted(name)}; {fix} (all stand in from_preset's labels)")
        return self.labels[self._known[identity(name)]]

    def names(self, values: Sequence[Any]) -> list[str]:
        """One label a text."""
        return [self.name(value, place(number)) for number, value in enumerate(values)]

    def several(self, y: Any) -> list[list[str]]:
        """Lists of names or numbers, or (texts, labels) of 0 and 1, an array -> names of each text's labels."""
        if isinstance(y, (np.ndarray, tf.Tensor)) and len(y.shape) == 2 and np.asarray(y).dtype.kind in "biuf":
            flags = np.asarray(y)
            if flags.shape[1] != len(self.labels) or not np.isin(flags, (0, 1)).all():
                shape = f"(texts, {len(self.labels)}) of 0 and 1"
                raise UserError(f"labels have the shape {flags.shape}; give {shape}, or lists of names")
            return [[self.labels[at] for at in np.flatnonzero(row)] for row in flags]
        found = []
        for number, values in enumerate(plain(y)):
            if not isinstance(values, list):
                raise UserError(f"{place(number)}: the labels are {quoted(values)}; give a list of them for each text")
            found.append([self.name(value, place(number)) for value in values])
        return found


def place(number: int) -> str:
    """Where an example stands, for messages."""
    return f"example {number}"


def named(labels: Any) -> list[str]:
    """What `from_preset(labels=...)` is given: names, or how many there are. Raises UserError."""
    if isinstance(labels, int) and not isinstance(labels, bool):
        return [str(number) for number in range(labels)]
    labels = plain(labels)
    if not isinstance(labels, (list, set)):
        raise UserError(f"labels: {quoted(labels)}; give a list of names, such as ['sport', 'trade']")
    return [str(label) if isinstance(label, (int, float)) else label for label in labels]


def batches_of(dataset: tf.data.Dataset) -> Iterator[tuple[Any, Any, Any]]:
    """(texts, labels, weights) of each batch; None of what is not there."""
    for element in dataset.as_numpy_iterator():
        element = element if isinstance(element, tuple) else (element,)
        texts, labels, weights = (*element, None, None)[:3]
        yield texts, labels, weights
