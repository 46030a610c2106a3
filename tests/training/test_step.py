"""One step under every strategy and any accumulation is the same step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.rarely import rarely

from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.data.batching.dataset import distribute
from kerasft.data.batching.epochs import Epochs
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.splits import load_splits
from kerasft.tasks.registry import create_task
from kerasft.training.batches import Batches
from kerasft.training.layers.fused_layers import NAMES
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

ROWS = 21


def config(**training) -> Config:
    optimizer = {"name": "adamw", "learning_rate": 1e-2, "warmup": 0}
    return Config.model_validate(
        {
            "name": "t",
            "task": {"name": "text_classification"},
            "model": {"preset": "x", "max_length": 16},
            "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
            "training": {"batch_size": 8, "optimizer": optimizer, **training},
        }
    )


@pytest.fixture
def prepared(words) -> Prepared:
    lengths = words.integers(3, 16, ROWS)
    tokens = int(lengths.sum())
    return Prepared(
        features={
            "token_ids": words.integers(1, 100, tokens).astype(np.int32),
            "padding_mask": np.ones(tokens, bool),
            "segment_ids": np.zeros(tokens, np.int32),
        },
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        full_lengths=lengths,
        targets=words.integers(0, 3, ROWS).astype(np.int32),
        weights=words.uniform(0.5, 2.0, ROWS).astype(np.float32),
        pad_values={"token_ids": 0, "padding_mask": 0, "segment_ids": 0},
        longest=16,
    )


def trained(prepared, strategy, make_backbone, steps=5, fused=(), **training):
    """Losses and weights after some steps; the third batch has 5 rows of 8, which no two replicas share evenly."""
    chosen = config(**training)
    keras.utils.set_random_seed(1)
    task = create_task(chosen, {"labels": ["a", "b", "c"]})
    with strategy.scope():
        model = task.build(make_backbone())
        optimizer = create_optimizer(chosen.training, steps, model, {})
    accumulation, microbatches = chosen.training.gradient_accumulation, chosen.training.parallel_microbatches or 1
    objective = TaskLoss(model, task)
    plan = StepPlan(model, objective, optimizer, strategy, accumulation, fused, microbatches=microbatches)
    step = tf.function(make_train_step(plan), autograph=False)
    dataset = distribute(
        prepared,
        lambda: Epochs(prepared.lengths, 8, "bucket", 0).from_step(0),
        strategy,
        accumulation * microbatches,
    )
    losses = [float(step(batch)) for batch, _ in zip(dataset, range(steps))]
    return losses, model.get_weights()


def assert_same(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5, atol=1e-6)
    for a, b in zip(one[1], other[1]):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.fixture(scope="module")
def kept() -> dict[int, tuple]:
    return {}


@pytest.fixture
def plain(kept, prepared, tiny_bert):
    """A function that gives what one device learns with Keras' own layers, which is trained once for all tests."""

    def found(accumulation: int = 1) -> tuple:
        if accumulation not in kept:
            device = tf.distribute.OneDeviceStrategy("/cpu:0")
            kept[accumulation] = trained(prepared, device, tiny_bert, gradient_accumulation=accumulation)
        return kept[accumulation]

    return found


@pytest.mark.long  # the next tests have it, too, with parts
def test_two_replicas_do_what_one_does(plain, prepared, tiny_bert, mirrored):
    one = plain()
    assert one[0][-1] < one[0][0]
    assert_same(one, trained(prepared, mirrored, tiny_bert))


@pytest.mark.parametrize("accumulation", rarely(2, 4))
def test_accumulation_does_what_one_batch_does(plain, accumulation):
    assert_same(plain(), plain(accumulation))


@pytest.mark.parametrize("training", [{"gradient_accumulation": 2}, *rarely({}, {"fused": NAMES})])
def test_microbatches_side_by_side_do_what_one_batch_does(plain, prepared, tiny_bert, training):
    device = tf.distribute.OneDeviceStrategy("/cpu:0")
    assert_same(plain(), trained(prepared, device, tiny_bert, parallel_microbatches=2, **training))


def test_accumulation_over_two_replicas_too(plain, prepared, tiny_bert, mirrored):
    one = plain()
    assert one[0][-1] < one[0][0]
    assert_same(one, trained(prepared, mirrored, tiny_bert, gradient_accumulation=2))


@pytest.mark.parametrize("accumulation", [*rarely(1), 2])
def test_cheaper_forms_of_layers_do_what_those_of_keras_do(plain, prepared, tiny_bert, accumulation):
    device = tf.distribute.OneDeviceStrategy("/cpu:0")
    cheaper = trained(prepared, device, tiny_bert, fused=NAMES, gradient_accumulation=accumulation)
    assert_same(plain(accumulation), cheaper)


@pytest.mark.long
def test_cheaper_forms_over_two_replicas_too(plain, prepared, tiny_bert, mirrored):
    assert_same(plain(), trained(prepared, mirrored, tiny_bert, fused=NAMES))


TOKEN_TARGETS = {
    "batch_size": 4, "optimizer": {"name": "adamw", "learning_rate": 1e-2, "warmup": 0, "schedule": "constant"},
}  # fmt: skip


def trained_on_tokens(chosen: Config, strategy, steps=6) -> tuple:
    """As `trained`, of a model that a config makes; the sixth batch of the 21 rows has one row."""
    keras.utils.set_random_seed(1)
    task = create_task(chosen)
    table = load_splits(chosen, task)["train"]
    with strategy.scope():
        built = assemble(chosen, task, train=table, preset=chosen.model.preset)
        optimizer = create_optimizer(chosen.training, steps, built.model, {})
    parts, replicas = chosen.training.gradient_accumulation, strategy.num_replicas_in_sync
    rows = task.prepare(table, built.preprocessor, weighted=True)
    batches = Batches.of(chosen, built.model, rows, chosen.training.batch_size, replicas, True)
    step = tf.function(
        make_train_step(StepPlan(built.model, TaskLoss(built.model, task), optimizer, strategy, parts)), autograph=False
    )
    # Of one shape, which is traced once.
    dataset = distribute(rows, lambda: batches.from_step(0), strategy, parts, chosen.training.batch_size, 0)
    return [float(step(batch)) for batch, _ in zip(dataset, range(steps))], built.model.get_weights()


@pytest.mark.parametrize("name", rarely("hidden tokens", "a corpus", "outputs"))
def test_targets_of_tokens_are_summed_alike_over_replicas_and_parts(configured, mirrored, name):
    device = tf.distribute.OneDeviceStrategy("/cpu:0")
    one = trained_on_tokens(configured(name, "bucket", **TOKEN_TARGETS), device)
    assert one[0][-1] < one[0][0]
    accumulated = configured(name, "bucket", gradient_accumulation=2, **TOKEN_TARGETS)
    assert_same(one, trained_on_tokens(accumulated, mirrored))


def test_weights_that_the_loss_does_not_use_stay(prepared, tiny_bert):
    class First:
        def loss_sum(self, targets, logits, weights):
            return tf.reduce_sum(logits[0][:, 0] * weights)

    inputs = keras.Input((2,))
    used, unused = keras.layers.Dense(1), keras.layers.Dense(1)
    model = keras.Model(inputs, [used(inputs), unused(inputs)])
    chosen = config()
    device = tf.distribute.OneDeviceStrategy("/cpu:0")
    optimizer = create_optimizer(chosen.training, 5, model, {})
    before = unused.bias.numpy().copy()

    step = tf.function(make_train_step(StepPlan(model, TaskLoss(model, First()), optimizer, device)), autograph=False)
    assert np.isfinite(float(step((tf.ones((4, 2)), tf.zeros(4), tf.ones(4)))))
    np.testing.assert_array_equal(unused.bias.numpy(), before)


def test_first_loss_is_the_weighted_mean_of_keras(plain, prepared, tiny_bert):
    losses, _ = plain()
    keras.utils.set_random_seed(1)
    model = create_task(config(), {"labels": ["a", "b", "c"]}).build(tiny_bert())
    rows = next(Epochs(prepared.lengths, 8, "bucket", 0).from_step(0))
    features, targets, weights = prepared.batch(rows)
    each = keras.losses.sparse_categorical_crossentropy(targets, model(features), from_logits=True)
    assert losses[0] == pytest.approx(float(np.average(each, weights=weights)), rel=1e-5)


def test_padding_changes_nothing(prepared, tiny_bert):
    model = create_task(config(), {"labels": ["a", "b", "c"]}).build(tiny_bert())
    rows = np.arange(4)
    short, long = prepared.batch(rows)[0], prepared.batch(rows, static=True)[0]
    assert long["token_ids"].shape[1] == 16
    np.testing.assert_allclose(model(short), model(long), atol=1e-5)


def test_a_gradient_that_is_no_number_makes_the_loss_none(mirrored):
    class Root:
        """Its loss is 0, and its gradient 0 times infinity."""

        def loss_sum(self, targets, logits, weights):
            return tf.reduce_sum(tf.sqrt(0.0 * logits[:, 0]) * weights)

    chosen = config()
    with mirrored.scope():
        inputs = keras.Input((2,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        optimizer = create_optimizer(chosen.training, 5, model, {})
    step = tf.function(make_train_step(StepPlan(model, TaskLoss(model, Root()), optimizer, mirrored)), autograph=False)
    batches = tf.data.Dataset.from_tensors((tf.ones((4, 2)), tf.zeros(4), tf.ones(4)))
    (batch,) = mirrored.experimental_distribute_dataset(batches.unbatch().batch(4))
    assert np.isnan(float(step(batch)))
