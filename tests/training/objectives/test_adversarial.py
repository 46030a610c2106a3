"""FGM, PGD, FreeLB, SMART, NEFTune and R-Drop are what their papers write, by plain Keras and GradientTape."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import DEVICE, GRADIENT

from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.drawing import Draws
from kerasft.training.objectives.fgm import Fgm
from kerasft.training.objectives.freelb import FreeLB
from kerasft.training.objectives.neftune import Neftune
from kerasft.training.objectives.pgd import Pgd
from kerasft.training.objectives.rdrop import RDrop
from kerasft.training.objectives.smart import Smart
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

SEED, WIDTH = 7, 6
IDS = np.array([[3, 9, 4, 1], [5, 2, 0, 0], [8, 8, 6, 0]], np.int32)
MASK = (IDS > 0).astype(np.int32)
TARGETS, WEIGHTS = np.array([0, 1, 1], np.int32), np.array([1.0, 2.0, 0.5], np.float32)


class Reference:
    """A model in two parts, so that what stands between them can be changed by hand.

    Args:
        rate: of dropout.
    """

    def __init__(self, rate: float = 0.0):
        keras.utils.set_random_seed(3)
        ids, mask = (keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask"))
        self.embedding = keras_hub.layers.ReversibleEmbedding(12, WIDTH, name="token_embedding")
        vectors = keras.Input((None, WIDTH))
        hidden = keras.layers.Dense(8, activation="tanh")(keras.layers.LayerNormalization()(vectors))
        self.dropout = keras.layers.Dropout(rate, seed=5)
        hidden = self.dropout(hidden) * keras.ops.cast(mask, "float32")[..., None]
        mean = keras.ops.sum(hidden, 1) / keras.ops.cast(keras.ops.sum(mask, 1), "float32")[:, None]
        self.rest = keras.Model([vectors, mask], keras.layers.Dense(2)(mean))
        self.model = keras.Model(
            {"token_ids": ids, "padding_mask": mask}, self.rest([self.embedding(ids), mask])
        )  # fmt: skip
        for variable in self.model.trainable_variables:
            variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
        self.start = [variable.numpy() for variable in self.model.variables]
        self.task = create_task(
            Config.model_validate(
                {
                    "name": "t", "seed": SEED, "task": {"name": "text_classification"}, "model": {"preset": "x"},
                    "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
                    "training": {"optimizer": GRADIENT},
                }
            ),
            {"labels": ["a", "b"]},
        )  # fmt: skip

    def step(self, kind, **settings) -> list[np.ndarray]:
        """What a step of an objective changes; minus the gradient."""
        self.reset()
        optimizer = create_optimizer(self.task.config.training, 1, self.model, {})
        plan = StepPlan(self.model, kind(self.model, self.task, **settings), optimizer, DEVICE)
        features = {"token_ids": tf.constant(IDS), "padding_mask": tf.constant(MASK)}
        make_train_step(plan)((features, tf.constant(TARGETS), tf.constant(WEIGHTS)))
        after = [variable.numpy() for variable in self.model.trainable_variables]
        self.reset()
        return [new - old.numpy() for new, old in zip(after, self.model.trainable_variables)]

    def reset(self) -> None:
        for variable, value in zip(self.model.variables, self.start):
            variable.assign(value)

    def logits(self, moved=0.0):
        return self.rest([self.embedding(IDS) + moved, tf.constant(MASK)], training=True)

    def loss(self, logits):
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(TARGETS, logits)
        return tf.reduce_sum(each * WEIGHTS) / WEIGHTS.sum()

    def upward(self, loss, moved):
        """The gradient of a loss by what is added to the vectors, 0 at padding."""
        moved = tf.constant(moved)
        with tf.GradientTape() as tape:
            tape.watch(moved)
            value = loss(self.logits(moved))
        return tape.gradient(value, moved).numpy() * MASK[..., None].astype(np.float32)

    def changes(self, loss) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            value = loss()
        return [-tf.convert_to_tensor(g).numpy() for g in tape.gradient(value, self.model.trainable_variables)]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


def each_text(vectors, change):
    return np.stack([change(text) for text in vectors])


def unit(text):
    return text / np.linalg.norm(text)


def kept(text, radius):
    size = np.linalg.norm(text)
    return text * min(1.0, radius / size) if size else text


def climb(reference, moved, step_size, radius):
    up = each_text(reference.upward(reference.loss, moved), unit)
    return each_text(moved + step_size * up, lambda text: kept(text, radius)).astype(np.float32)


def kl(one, other):
    one, other = tf.nn.log_softmax(one), tf.nn.log_softmax(other)
    return tf.reduce_sum(tf.exp(one) * (one - other), -1)


def both_kl(one, other):
    return tf.reduce_sum((kl(one, other) + kl(other, one)) * WEIGHTS) / WEIGHTS.sum()


def assert_equal(mine, other, most=1e-5):
    assert max(np.abs(change).max() for change in other) > 1e-2
    for one, two in zip(mine, other, strict=True):
        np.testing.assert_allclose(one, two, atol=most)


def apart(mine, other) -> float:
    return max(np.abs(one - two).max() for one, two in zip(mine, other, strict=True))


NOTHING = np.zeros((*IDS.shape, WIDTH), np.float32)


def test_fgm(reference):
    moved = 0.8 * each_text(reference.upward(reference.loss, NOTHING), unit)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=(1, 2)), 0.8, rtol=1e-5)
    other = reference.changes(
        lambda: reference.loss(reference.logits()) + 0.5 * reference.loss(reference.logits(moved))
    )  # fmt: skip
    found = reference.step(Fgm, epsilon=0.8, alpha=0.5)
    assert_equal(found, other)
    assert apart(found, reference.step(TaskLoss)) > 1e-2


def test_pgd(reference):
    moved = NOTHING
    for _ in range(3):
        moved = climb(reference, moved, 0.5, 0.8)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=(1, 2)), 0.8, rtol=1e-5)  # the third step left the ball
    other = reference.changes(lambda: reference.loss(reference.logits()) + reference.loss(reference.logits(moved)))
    assert_equal(reference.step(Pgd, epsilon=0.8, alpha=1.0, steps=3, step_size=0.5), other)


def test_one_whole_step_of_pgd_is_fgms(reference):
    one = reference.step(Pgd, epsilon=0.8, alpha=1.0, steps=1, step_size=0.8)
    assert_equal(one, reference.step(Fgm, epsilon=0.8, alpha=1.0), 1e-6)


@pytest.mark.parametrize("start", [0.0, 0.6])
def test_freelb(reference, start):
    moved = [NOTHING]
    if start:
        drawn = Draws(SEED).evenly(NOTHING.shape).numpy()
        size = np.sqrt(MASK.sum(1) * WIDTH)[:, None, None]
        moved = [(start * drawn / size * MASK[..., None]).astype(np.float32)]
        assert 0.1 < np.linalg.norm(moved[0], axis=(1, 2)).max() < start
    for _ in range(2):
        moved.append(climb(reference, moved[-1], 0.5, 0.8))
    other = reference.changes(lambda: sum(reference.loss(reference.logits(each)) for each in moved) / 3)
    assert_equal(reference.step(FreeLB, epsilon=0.8, steps=3, step_size=0.5, start=start), other)


def test_one_pass_of_freelb_without_a_start_is_the_tasks_loss(reference):
    one = reference.step(FreeLB, epsilon=0.8, steps=1, step_size=0.5, start=0.0)
    assert_equal(one, reference.step(TaskLoss), 1e-7)


def test_smart(reference):
    moved = (0.2 * Draws(SEED).normal(NOTHING.shape).numpy() * MASK[..., None]).astype(np.float32)
    clean = tf.constant(reference.logits().numpy())
    for _ in range(2):
        up = reference.upward(lambda logits: both_kl(clean, logits), moved)
        moved = np.clip(moved + each_text(up, lambda text: 0.3 * text / np.abs(text).max()), -0.4, 0.4)
    moved = moved.astype(np.float32)

    def loss():
        logits = reference.logits()
        return reference.loss(logits) + 2.0 * both_kl(logits, reference.logits(moved))

    found = reference.step(Smart, weight=2.0, steps=2, step_size=0.3, epsilon=0.4, start=0.2)
    assert_equal(found, reference.changes(loss))
    assert apart(found, reference.step(TaskLoss)) > 1e-2


def test_neftune(reference):
    drawn = Draws(SEED).evenly(NOTHING.shape).numpy()
    moved = 3.0 * drawn / np.sqrt(MASK.sum(1) * WIDTH)[:, None, None] * MASK[..., None]
    other = reference.changes(lambda: reference.loss(reference.logits(moved.astype(np.float32))))
    assert_equal(reference.step(Neftune, alpha=3.0), other)


def test_rdrop():
    reference = Reference(rate=0.4)

    def loss():
        reference.reset()  # dropout, too
        one, other = reference.logits(), reference.logits()
        agree = tf.reduce_sum(0.5 * (kl(one, other) + kl(other, one)) * WEIGHTS) / WEIGHTS.sum()
        assert float(agree) > 1e-2
        return 0.5 * (reference.loss(one) + reference.loss(other)) + 3.0 * agree

    other = reference.changes(loss)
    assert_equal(reference.step(RDrop, alpha=3.0), other)


def test_rdrop_without_dropout_is_refused(reference):
    with pytest.raises(UserError, match=r"rdrop compares two draws of dropout, and this preset has none; set model.dr"):
        RDrop(reference.model, reference.task, alpha=1.0)


def test_a_model_without_token_embeddings_is_refused(reference):
    with pytest.raises(UserError, match="this model has 0 layers 'token_embedding'"):
        Fgm(reference.rest, reference.task, epsilon=1.0, alpha=1.0)


def test_tables_are_what_they_were_and_so_are_classes(reference):
    kinds = [type(layer) for layer in reference.model._flatten_layers()]
    reference.step(Fgm, epsilon=0.8, alpha=1.0)
    assert [type(layer) for layer in reference.model._flatten_layers()] == kinds
    unused = [row for row in range(12) if row not in IDS]
    change = reference.step(Fgm, epsilon=0.8, alpha=1.0)[0]
    np.testing.assert_array_equal(change[unused], 0.0)
