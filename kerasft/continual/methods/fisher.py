"""The diagonal of the Fisher information, of single rows (Kirkpatrick et al. 2017; Kunstner et al. 2019)."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.models.named_weights import by_path


def fisher_information(
    model: keras.Model, train: Prepared, rows: int, seed: int, *, drawn: bool = True
) -> dict[str, np.ndarray]:
    """The mean over rows of the squared gradient of log p(y | x), by the path of each weight that trains.

    Each row is differentiated by itself, without dropout: the square of a batch's mean gradient would shrink with the
    batch.

    Args:
        model: features -> (batch, classes) logits.
        train: rows, and their targets.
        rows: how many are drawn, each at most once.
        seed: of the draws of rows and labels.
        drawn: draw y from the model's p(y | x), the true Fisher; else take the row's own, the empirical one.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(train))[:rows])
    variables = by_path(model.trainable_variables)
    sums = [tf.Variable(tf.zeros(variable.shape)) for variable in variables.values()]

    @tf.function(reduce_retracing=True, autograph=False)
    def add(features, target, uniform):
        with tf.GradientTape() as tape:
            logits = tf.cast(model(features, training=False), tf.float32)  # (1, classes)
            likely = tf.cumsum(tf.nn.softmax(tf.stop_gradient(logits)), axis=-1)[0]
            sampled = tf.minimum(tf.reduce_sum(tf.cast(likely < uniform, tf.int32)), tf.shape(likely)[0] - 1)
            label = sampled[None] if drawn else tf.cast(target, tf.int32)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)[0]
        for total, gradient in zip(sums, tape.gradient(loss, [v.value for v in variables.values()])):
            if gradient is not None:  # of what the logits do not depend on
                total.assign_add(tf.square(tf.convert_to_tensor(gradient)))

    draws = random.random(len(chosen)).astype(np.float32)
    for row, uniform in zip(chosen, draws):
        features, target, _ = train.batch(np.array([row]))
        add({name: tf.constant(values) for name, values in features.items()}, tf.constant(target), tf.constant(uniform))
    return {path: total.numpy() / len(chosen) for path, total in zip(variables, sums)}
