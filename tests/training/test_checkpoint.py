import keras
import numpy as np
import tensorflow as tf

from kerasft.config import schema
from kerasft.training.checkpoint import Checkpoints
from kerasft.training.optimizer import create_optimizer


def make(folder, seed: int, keep: int = 2) -> Checkpoints:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(inputs)))
    return Checkpoints(folder, model, create_optimizer(schema.Training(), 10, model, {}), keep)


def step(checkpoints: Checkpoints) -> None:
    model, optimizer = checkpoints.model, checkpoints.optimizer
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(tf.ones((4, 3)), training=True)))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


def state(checkpoints: Checkpoints) -> list[np.ndarray]:
    every = [*checkpoints.model.variables, *checkpoints.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in every]


def test_a_restored_run_continues_with_the_same_bits_dropout_included(tmp_path):
    first = make(tmp_path, 0)
    step(first)
    first.progress.history.append({"step": 1, "loss": np.float32(0.5)})
    first.progress.best = {"step": 1, "value": 0.25, "state": {"labels": ["é", "中"]}}
    first.save()
    second = make(tmp_path, 1)
    assert second.restore() and second.step == 1
    assert second.progress.history == [{"step": 1, "loss": 0.5}] and second.progress.best == first.progress.best
    for _ in range(3):
        step(first)
        step(second)
    for one, other in zip(state(first), state(second)):
        np.testing.assert_array_equal(one, other)


def test_nothing_to_restore_is_false(tmp_path):
    assert make(tmp_path, 0).restore() is False


def test_only_the_newest_are_kept_and_the_best_beside_them(tmp_path):
    checkpoints = make(tmp_path, 0, keep=2)
    for number in range(4):
        step(checkpoints)
        checkpoints.save()
        if number == 1:
            checkpoints.save_best()
            best = [weight.copy() for weight in checkpoints.model.get_weights()]
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["ckpt-3.index", "ckpt-4.index"]
    checkpoints.restore_best()
    for one, other in zip(checkpoints.model.get_weights(), best):
        np.testing.assert_array_equal(one, other)
