"""Rows of one batch by different adapters: each adapter answers its rows, and the answers are put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from kerasft.errors import UserError

Columns = Mapping[str, tf.Tensor]
Answer = Callable[[Columns], dict[str, tf.Tensor]]


class Router:
    """In graph: strings and the name of an adapter for each row -> the answers of all.

    Args:
        answers: of each adapter, by name.
        inputs: the strings that each takes.
        specs: of what each answers: output -> its type and shape.

    Raises:
        UserError: two adapters answer under one name in different forms.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer],
        inputs: Mapping[str, Sequence[str]],
        specs: Mapping[str, Mapping[str, tf.TensorSpec]],
    ):
        self.answers, self.inputs, self.specs = answers, inputs, specs
        self.outputs: dict[str, tf.TensorSpec] = {}
        first: dict[str, str] = {}
        for adapter, own in specs.items():
            for name, spec in own.items():
                there = self.outputs.setdefault(name, spec)
                first.setdefault(name, adapter)
                if (there.dtype, there.shape.rank) != (spec.dtype, spec.shape.rank):
                    raise UserError(
                        f"export.adapters: {first[name]} and {adapter} answer {name!r} in different forms; export them "
                        "apart"
                    )

    def __call__(self, columns: Columns, adapter: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers with (batch, ...) for each output that any adapter has.

        Where an adapter has no such output, or fewer labels than another, there is "" or 0.

        Args:
            columns: of all adapters, (batch,) strings each.
            adapter: (batch,) names. An unknown one is an InvalidArgument that lists those there are.
        """
        names = list(self.answers)
        chosen = tf.equal(adapter[:, None], tf.constant(names)[None])  # (batch, adapters)
        known = tf.reduce_any(chosen, 1)
        unknown = tf.boolean_mask(adapter, ~known)[:1]
        message = f"there is no such adapter; there are {', '.join(names)}: "
        check = tf.debugging.Assert(tf.reduce_all(known), [message, unknown], summarize=1)
        with tf.control_dependencies([check] if check is not None else []):
            chosen = tf.identity(chosen)
        rows = [tf.where(chosen[:, place])[:, 0] for place in range(len(names))]  # each (its rows,)
        parts = [self._part(name, columns, own) for name, own in zip(names, rows)]
        return {output: self._joined(output, names, rows, parts, tf.shape(adapter)[0]) for output in self.outputs}

    def _part(self, name: str, columns: Columns, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """The answers of one adapter to its rows; of none nothing is computed."""
        specs = self.specs[name]
        own = {key: tf.gather(columns[key], rows) for key in self.inputs[name]}

        def nothing() -> dict[str, tf.Tensor]:
            return {
                key: tf.zeros([0, *(size or 0 for size in spec.shape[1:])], spec.dtype) for key, spec in specs.items()
            }

        return tf.cond(tf.shape(rows)[0] > 0, lambda: dict(self.answers[name](own)), nothing)

    def _joined(self, output: str, names, rows, parts, batch: tf.Tensor) -> tf.Tensor:
        """One output of all adapters, in the order of the rows, as wide as the widest."""
        spec = self.outputs[output]
        found = [(own, part[output]) for name, own, part in zip(names, rows, parts) if output in self.specs[name]]
        widths = tf.reduce_max(tf.stack([tf.shape(values)[1:] for _, values in found]), 0)  # (rank - 1,)
        joined = tf.zeros(tf.concat([[batch], widths], 0), spec.dtype)
        for own, values in found:
            more = tf.concat([[0], widths - tf.shape(values)[1:]], 0)
            values = _padded(values, more)
            joined = tf.tensor_scatter_nd_update(joined, own[:, None], values)
        return tf.ensure_shape(joined, [None] * spec.shape.rank)


def _padded(values: tf.Tensor, more: tf.Tensor) -> tf.Tensor:
    """Values with so many blanks behind each axis."""
    if values.shape.rank == 1:
        return values
    blank = "" if values.dtype == tf.string else tf.zeros([], values.dtype)
    return tf.pad(values, tf.stack([tf.zeros_like(more), more], 1), constant_values=blank)


def blended(
    answers: Mapping[str, Mapping[str, np.ndarray]], chosen: Sequence[str], kinds: Mapping[str, tf.DType]
) -> dict[str, np.ndarray]:
    """The same in NumPy: of each adapter's answers to all rows, row by row those of the one that is chosen.

    Args:
        answers: adapter -> output -> (rows, ...).
        chosen: the adapter of each row.
        kinds: output -> its type.
    """
    found = {}
    for output, kind in kinds.items():
        own = [row if output in answers[name] else None for row, name in enumerate(chosen)]
        values = [None if row is None else answers[chosen[row]][output][row] for row in own]
        shape = np.max([np.shape(value) for value in values if value is not None], axis=0).astype(int)
        blank = b"" if kind == tf.string else 0
        whole = np.full((len(chosen), *shape), blank, object if kind == tf.string else kind.as_numpy_dtype)
        for row, value in enumerate(values):
            if value is not None:
                whole[(row, *(slice(size) for size in np.shape(value)))] = value
        found[output] = whole
    return found
