"""Mixout by hand: which numbers are mixed, how, and that a step draws the same wherever it is taken."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.peft_run import peft_config
from support.tiny_split import prepared  # noqa: F401

from kerasft.config.schema import Config
from kerasft.models.heads.text_classifier import build_classifier
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.mixout import Mixout


class Differentiate:
    """A step's, which only computes the loss."""

    def __init__(self, now: int):
        self.now = tf.constant(now, tf.int64)

    def __call__(self, loss, by=(), learn=True):
        return loss(), []


@pytest.fixture
def mixed(tiny_bert, prepared):  # noqa: F811
    """The objective of a model that has moved since it was made, and the loss of a step."""
    values = peft_config({"method": "lora"}).model_dump()
    values["model"]["peft"] = None
    config = Config.model_validate(values)
    task = create_task(config, {"labels": ["a", "b"]})
    model = build_classifier(tiny_bert(), 2, pooling="cls")
    objective = Mixout(model, task, share=0.4)
    for place, weight in enumerate(model.weights):
        weight.assign(weight + 0.3 * keras.random.normal(weight.shape, seed=place))
    batch = prepared.batch(np.arange(8))

    def loss(now: int | None) -> float:
        if now is None:
            return float(task.loss_sum(batch[1], objective.logits(batch[0]), batch[2]))
        with objective.installed() if objective.kernels else contextlib.nullcontext():
            return float(objective.descend(Differentiate(now), *batch))

    return objective, loss


def test_a_step_is_the_plain_loss_of_the_mixed_kernels(mixed):
    objective, loss = mixed
    assert len(objective.kernels) == 12  # six of each of two layers, and not the head
    found, count = loss(3), len(objective.kernels)
    kept = [kernel.target.layer.kernel.numpy() for kernel in objective.kernels]
    for place, each in enumerate(objective.kernels):
        draws = tf.random.stateless_uniform([each.target.inner], [3 * count + place, 0]).numpy()
        first, now = each.first.numpy(), each.target.matrix()
        back = (draws < 0.4)[:, None]  # the paper's formula (6)
        whole = (np.where(back, first, now) - 0.4 * first) / 0.6
        each.target.layer.kernel.assign(whole.reshape(each.target.layer.kernel.shape))
    assert loss(None) == pytest.approx(found, rel=1e-5)
    for kernel, value in zip(objective.kernels, kept):
        kernel.target.layer.kernel.assign(value)
    assert loss(3) == pytest.approx(found, rel=1e-6) and abs(loss(4) - found) > 1e-4 and abs(loss(None) - found) > 1e-4


def test_weights_are_themselves_on_average(mixed):
    kernel = mixed[0].kernels[0]
    drawn = [kernel.factors(tf.constant([step, 1])).numpy() for step in range(500)]
    assert {*np.unique(np.round(drawn, 5))} == {0.0, np.float32(round(1 / 0.6, 5))}
    assert np.mean(drawn) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("key", "value"), [("peft", {"method": "lora"}), ("trainable", "head")])
def test_weights_that_do_not_train_have_nowhere_to_go_back_to(key, value):
    values = peft_config({"method": "lora"}).model_dump()
    values["model"] |= {"peft": None, key: value}
    values["training"]["objective"] = {"name": "mixout"}
    with pytest.raises(ValueError, match=f"model.{key}: .* does not go with training.objective.name mixout"):
        Config.model_validate(values)
