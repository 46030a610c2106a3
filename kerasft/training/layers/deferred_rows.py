"""Adam for the rows of an embedding table that a batch uses; the others are brought up to date when they are next read.

Without a gradient Adam goes on: a row moves by what is left of its first moment, decays, and so do both moments. For a
row that missed steps the sum of those moves is known in closed form, since their learning rates are: with first and
second moment m and v, r = beta_1 / sqrt(beta_2) and rates a_j of Adam (learning rate and bias correction in one), it is
m / (sqrt(v) + epsilon) times a sum of a_j r^j that all numbers of the row share. That epsilon keeps its size while
sqrt(v) shrinks is a term of its own; what is left out is of its square, below 5e-5 of such a move where sqrt(v) is as
small as epsilon and nothing elsewhere.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Collection, Iterator, Sequence

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.config import schema
from kerasft.models.layer_classes import Form, as_classes, as_made
from kerasft.models.swapped_weights import swapped_in

EMBEDDINGS = "embeddings"  # in `training.fused`
LEAST_ROWS = 1024  # a smaller table is no work for the usual update

_traced = threading.local()  # `uses`: of the forward pass that is being traced
Table = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # some rows of weights, first and second moments


class DeferredRows:
    """An embedding table whose rows have each been updated as far as `last_steps` says.

    Args:
        variable: (rows, width).
        moments: first and second, of the same shape.
        rates: the learning rate of each step of the run.
        decays: the share of the weights that each step takes away.
        betas: of the moments.
        epsilon: of Adam.

    Attributes:
        done: (rows,) int32, how many steps each row has behind it; a part of the run's state.
    """

    def __init__(
        self,
        variable: keras.Variable,
        moments: tuple[keras.Variable, keras.Variable],
        rates: np.ndarray,
        decays: np.ndarray,
        betas: tuple[float, float],
        epsilon: float,
    ):
        self.variable, self.moments, self.betas, self.epsilon = variable, moments, betas, epsilon
        self.last_steps = keras.Variable(np.zeros(variable.shape[0]), dtype="int32", trainable=False, name="rows_done")
        first, second = betas
        steps = np.arange(1, len(rates) + 1)
        self.rates = np.asarray(rates, np.float64) * np.sqrt(1.0 - second**steps) / (1.0 - first**steps)
        self.decays = np.asarray(decays, np.float64)
        self.log_decay = np.concatenate([[0.0], np.cumsum(np.log1p(-self.decays))])  # log of what decay leaves
        self.falls = (first / math.sqrt(second), first / second)
        self.sums = [self._sums(fall) for fall in self.falls]

    def _sums(self, fall: float) -> np.ndarray:
        """For each step t the sum over the steps j from there of rate_j fall^(j - t + 1), as decay up to t sees it."""
        sums = np.zeros(len(self.rates) + 1)
        for step in reversed(range(len(self.rates))):
            sums[step] = fall / (1.0 - self.decays[step]) * (self.rates[step] + sums[step + 1])
        return sums

    def at(self, rows: tf.Tensor, now: tf.Tensor) -> Table:
        """Rows as they are after `now` steps; nothing is written.

        Args:
            rows: (n,) int32.
            now: a number of steps.
        """
        weights, first, second = (tf.gather(part.value, rows) for part in (self.variable, *self.moments))
        return self._caught_up(weights, first, second, tf.gather(self.last_steps.value, rows), now)

    def _caught_up(self, weights: tf.Tensor, first: tf.Tensor, second: tf.Tensor, last: tf.Tensor, now) -> Table:
        now = tf.minimum(tf.cast(now, tf.int32), len(self.rates))
        missed = tf.cast(now - last, tf.float64)
        remaining = tf.exp(tf.gather(self.log_decay, now) - tf.gather(self.log_decay, last))
        moved, later = (
            remaining * tf.gather(sums, last) - fall**missed * tf.gather(sums, now)
            for fall, sums in zip(self.falls, self.sums)
        )

        def column(values: tf.Tensor) -> tf.Tensor:
            return tf.cast(values, tf.float32)[:, None]

        size = tf.sqrt(second) + self.epsilon
        share = column(moved) - column(later - moved) * (self.epsilon / size)
        beta_1, beta_2 = (tf.constant(beta, tf.float64) for beta in self.betas)
        return (
            weights * column(remaining) - first / size * share,
            first * column(beta_1**missed),
            second * column(beta_2**missed),
        )

    def update(self, gradient: tf.IndexedSlices, rate: tf.Tensor, decay: tf.Tensor, now: tf.Tensor) -> None:
        """One step of AdamW for the rows that have a gradient.

        Args:
            gradient: each row once.
            rate: the learning rate.
            decay: the share of the weights that this step takes away.
            now: steps that were taken before.
        """
        rows, values = gradient.indices, gradient.values
        weights, first, second = self.at(rows, now)
        beta_1, beta_2 = self.betas
        first += (values - first) * (1.0 - beta_1)
        second += (tf.square(values) - second) * (1.0 - beta_2)
        step = tf.cast(now + 1, tf.float32)
        rate *= tf.sqrt(1.0 - tf.pow(beta_2, step)) / (1.0 - tf.pow(beta_1, step))
        weights = weights * (1.0 - decay) - rate * first / (tf.sqrt(second) + self.epsilon)
        last = tf.fill(tf.shape(rows), tf.cast(now, tf.int32) + 1)
        for variable, new in zip((self.variable, *self.moments, self.last_steps), (weights, first, second, last)):
            variable.value.scatter_update(tf.IndexedSlices(new, rows))

    @contextlib.contextmanager
    def up_to_date(self, now: int) -> Iterator[None]:
        """All rows are as they are after `now` steps inside, and as the run has them again afterwards.

        Put back, because rows that are written between steps are rounded then: a run that goes on from a checkpoint
        must give the same bits whether or not it was validated meanwhile.
        """
        parts = (self.variable, *self.moments, self.last_steps)
        weights, first, second, last = (part.value.read_value() for part in parts)
        with swapped_in([(self.variable, self._caught_up(weights, first, second, last, now)[0])]):
            yield


class EmbeddingLookups:
    """The rows that one forward pass reads, each call of a layer with those of its own.

    Args:
        tape: of the pass.
        now: steps that were taken before.
    """

    def __init__(self, tape: tf.GradientTape, now: tf.Tensor):
        self.tape, self.now = tape, now
        self.tables: list[DeferredRows] = []
        self.rows: list[tf.Tensor] = []
        self.vectors: list[tf.Tensor] = []  # what the loss is differentiated by

    def read(self, table: DeferredRows, ids: tf.Tensor) -> tf.Tensor:
        """ids (...) -> (..., width)."""
        rows, inverse = tf.unique(tf.reshape(ids, [-1]))
        with self.tape.stop_recording():
            vectors = table.at(rows, self.now)[0]
        self.tape.watch(vectors)
        self.tables.append(table)
        self.rows.append(rows)
        self.vectors.append(vectors)
        return tf.gather(vectors, tf.reshape(inverse, tf.shape(ids)))

    def gradient(self, table: DeferredRows, gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> tf.IndexedSlices:
        """Of a table, each row once.

        Args:
            gradients: the gradient of each of `vectors`.
        """
        mine = [i for i, used in enumerate(self.tables) if used is table]
        rows, values = [self.rows[i] for i in mine], [tf.convert_to_tensor(gradients[i]) for i in mine]
        # more than one where a model reads several texts by themselves
        return each_row_once([tf.IndexedSlices(value, row) for value, row in zip(values, rows)])


def each_row_once(parts: Sequence[tf.IndexedSlices]) -> tf.IndexedSlices:
    """The sum of gradients of a table that have each of their rows once."""
    if len(parts) == 1:
        return parts[0]
    rows, inverse = tf.unique(tf.concat([part.indices for part in parts], 0))
    values = tf.concat([part.values for part in parts], 0)
    return tf.IndexedSlices(tf.math.unsorted_segment_sum(values, inverse, tf.size(rows)), rows)


@contextlib.contextmanager
def rows_used(tape: tf.GradientTape, now: tf.Tensor) -> Iterator[EmbeddingLookups]:
    """What layers read inside is noted; see `deferring`."""
    _traced.uses = EmbeddingLookups(tape, now)
    try:
        yield _traced.uses
    finally:
        _traced.uses = None


class _Deferred(Form):
    """Before the class of an embedding layer: reads rows as they are by now, and says which."""

    table: DeferredRows

    def call(self, inputs):
        ids = inputs if inputs.dtype == tf.int32 else tf.cast(inputs, tf.int32)
        return _traced.uses.read(self.table, ids)


@contextlib.contextmanager
def deferring(layers: Sequence[tuple[keras.layers.Layer, DeferredRows]]) -> Iterator[None]:
    """The layers read their tables through `rows_used` inside."""
    changes = [
        (layer, type(type(layer).__name__, (_Deferred, type(layer)), {"table": table})) for layer, table in layers
    ]
    with as_classes(changes):
        yield


def deferrable_layers(
    config: schema.TrainingConfig, model: keras.Model, forms: Collection[str], replicas: int
) -> list[keras.layers.Layer]:
    """The embedding layers whose tables are large, trained, and read by their rows alone; none without Adam.

    Args:
        config: the training section.
        model: features -> logits, frozen as the config says.
        forms: chosen of `training.fused`.
        replicas: copies of the model that train together; with more than one there are none.
    """
    # A moving average takes in every row at each step; parts of a batch, and replicas, have rows of their own each.
    adam = config.optimizer.name in ("adamw", "adam") and not config.averages_steps
    if EMBEDDINGS not in forms or not adam or config.gradient_accumulation > 1 or replicas > 1:
        return []
    kinds = (keras.layers.Embedding, keras.layers.ReversibleEmbedding, keras_hub.layers.ReversibleEmbedding)
    layers = {id(layer): layer for layer in model._flatten_layers() if type(layer) in kinds}.values()
    trained = {id(variable) for variable in model.trainable_variables}
    return [layer for layer in layers if _plain(layer) and id(layer.embeddings) in trained and _read_once(layer, model)]


def _plain(layer: keras.layers.Layer) -> bool:
    plain = as_made(layer) and layer.embeddings_constraint is None and layer.compute_dtype == "float32"
    return plain and layer.input_dim >= LEAST_ROWS


def _read_once(layer: keras.layers.Layer, model: keras.Model) -> bool:
    """Not where it is an output layer, too, as those of language models are."""
    parts = [part for part in model._flatten_layers() if not hasattr(part, "_nodes_by_depth")]  # of no functional model
    return len(layer._inbound_nodes) == 1 and not any(layer in part._layers for part in parts if part is not layer)
