"""Several steps a call of the device do what one does, and nothing is evaluated or saved late."""

import io
import time
from unittest.mock import Mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.tiny_split import config

from kerasft.console.terminal import Terminal
from kerasft.data.batching.dataset import distribute
from kerasft.data.prepared.prepared import Prepared
from kerasft.distribution.strategy import create_strategy
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task
from kerasft.training.plan import TrainingPlan
from kerasft.training.trainer import Trainer


def trained(prepared, make_backbone, folder, **training):
    """A run of 11 steps, evaluated every 5 and saved every 3: its weights, and the steps of all that was done."""
    chosen = config(steps=11, evaluate_every=5, checkpoint={"every_steps": 3, "keep": 9}, **training)
    keras.utils.set_random_seed(1)
    task = create_task(chosen, {"labels": ["a", "b"]})
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        model = task.build(make_backbone(dropout=0.1))
    terminal = Terminal(stream=io.StringIO())
    checkpoints = str(folder / "checkpoints")
    plan = TrainingPlan(chosen, task, model, prepared, prepared, strategy, folder, checkpoints, terminal)
    trainer = Trainer(plan)
    saved, save = [], trainer.checkpoints.save
    trainer.run_steps = Mock(wraps=trainer.run_steps)
    trainer.checkpoints.save = lambda: (saved.append(trainer.checkpoints.step), save())[1]
    trainer.fit()
    calls = [call.args[1] for call in trainer.run_steps.call_args_list]
    validated = [row["step"] for row in trainer.progress.history if "validation" in row]
    return trainer, calls, sorted(set(saved)), validated


def test_four_steps_a_call_are_four_calls(prepared, tiny_bert, tmp_path):
    one, ones, *done = trained(prepared, tiny_bert, tmp_path / "one")
    four, fours, *done_by_four = trained(prepared, tiny_bert, tmp_path / "four", steps_per_loop=4)
    assert ones == [1] * 11
    assert fours == [3, 2, 1, 3, 1, 1]  # cut short before 3, 5, 6, 9, 10 and 11
    assert done == done_by_four == [[3, 5, 6, 9, 10, 11], [5, 10, 11]]
    for a, b in zip(one.model.get_weights(), four.model.get_weights()):
        np.testing.assert_array_equal(a, b)
    figures = ("examples", "tokens")
    assert [one.progress.spent[f] for f in figures] == [four.progress.spent[f] for f in figures]


def test_steps_that_have_no_batch_yet_count_as_waiting(prepared, tiny_bert, tmp_path, monkeypatch):
    quick = trained(prepared, tiny_bert, tmp_path / "quick")[0]
    assert 0 < quick.progress.spent["input_seconds"] < quick.progress.spent["step_seconds"]
    batch = Prepared.batch

    def slow(self, *args):
        time.sleep(0.1)
        return batch(self, *args)

    monkeypatch.setattr(Prepared, "batch", slow)
    waiting = trained(prepared, tiny_bert, tmp_path / "slow", steps_per_loop=3)[0]
    # Eleven batches take 1.1 s at least; some are made while steps run or before the first.
    assert 0.2 < waiting.progress.spent["input_seconds"] < waiting.progress.spent["step_seconds"]
    assert waiting.figures()["input_wait"] == waiting.progress.input_wait > quick.progress.input_wait


def traced_shapes(prepared, strategy) -> list[tuple]:
    """The shapes of a replica's features, targets and weights that TensorFlow knows while it traces."""
    batches, shapes = [np.arange(8), np.arange(8, 13)], []
    iterator = iter(distribute(prepared, lambda: batches, strategy, static_size=8))

    @tf.function
    def look(iterator):
        features, targets, weights = next(iterator)
        for tensor in (*features.values(), targets, weights):
            shapes.append(tuple(strategy.experimental_local_results(tensor)[0].shape))

    for _ in batches:  # the second has rows that only fill it up
        look(iterator)
    return shapes


def test_with_a_fixed_size_every_shape_is_known_before_any_batch(prepared, mirrored):
    # one trace each: no batch has another shape
    assert traced_shapes(prepared, tf.distribute.OneDeviceStrategy("/cpu:0")) == [(8, 16)] * 3 + [(8,)] * 2
    assert traced_shapes(prepared, mirrored) == [(4, 16)] * 3 + [(4,)] * 2


def test_a_config_of_many_shapes_is_refused_on_a_tpu(monkeypatch):
    with pytest.raises(ValueError, match="data.batching: bucket makes batches of many lengths"):
        config(data={"batching": "bucket"}, strategy="tpu")
    assert config(data={"batching": "pad"}, strategy="tpu").many_shapes() is None
    assert config(strategy="tpu").many_shapes() is None
    monkeypatch.setenv("TPU_NAME", "local")  # `auto` then stands for tpu
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="set auto, pack or pad"):
        create_strategy(config(data={"batching": "bucket"}))
