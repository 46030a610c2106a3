"""Rows that a batch doesn't use are deferred, and are then what Keras' Adam makes of them."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from kerasft.config import schema
from kerasft.errors import UserError
from kerasft.training.checkpoints.checkpoint import Checkpoints
from kerasft.training.exported_weights import exported_weights
from kerasft.training.layers import deferred_rows
from kerasft.training.layers.deferred_rows import deferrable_layers
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import WarmupSchedule, create_optimizer
from kerasft.training.step import StepPlan, make_train_step

ROWS, STEPS = 1500, 100
FORMS = (deferred_rows.EMBEDDINGS,)


def training(**keys) -> schema.TrainingConfig:
    own = {name: keys.pop(name) for name in ("ema", "gradient_accumulation") if name in keys}
    return schema.TrainingConfig(optimizer={"learning_rate": 0.01, "weight_decay": 0.1, **keys}, **own)


def tagger(rows: int = ROWS) -> keras.Model:
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    vectors = keras_hub.layers.ReversibleEmbedding(rows, 4, name="token_embedding")(ids)
    return keras.Model({"token_ids": ids}, keras.layers.Dense(3)(vectors))


class Tags:
    """A loss of its own for each token, small enough that clipping matters at some steps and not at others."""

    @staticmethod
    def loss_sum(targets, logits, weights):
        return 3.0 * tf.reduce_sum(weights[:, None, None] * tf.square(logits - tf.cast(targets, tf.float32)[..., None]))


def batches(steps: int = STEPS) -> list[tuple]:
    """Rows as seldom used as words are; most of the table never."""
    random = np.random.default_rng(0)
    ids = np.minimum(random.zipf(1.5, (steps, 4, 6)) - 1, ROWS // 2).astype("int32")
    targets = random.integers(0, 3, (steps, 4, 6)).astype("int32")
    return [({"token_ids": tf.constant(i)}, tf.constant(t), tf.ones(4)) for i, t in zip(ids, targets)]


def trainer(config, model, depths=None, forms=FORMS, microbatches=1):
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    optimizer = create_optimizer(config, STEPS, model, depths or {}, deferrable_layers(config, model, forms, 1))
    plan = StepPlan(model, TaskLoss(model, Tags), optimizer, strategy, microbatches=microbatches)
    return optimizer, tf.function(make_train_step(plan), autograph=False)


def weights(model, optimizer) -> np.ndarray:
    with exported_weights(optimizer):
        return model.get_layer("token_embedding").embeddings.numpy()


def keras_adamw(config, model, clip) -> list[np.ndarray]:
    """The table after 20, 60 and all steps of Keras' own AdamW."""
    optimizer = keras.optimizers.AdamW(
        WarmupSchedule(config.optimizer, STEPS), weight_decay=config.optimizer.weight_decay, global_clipnorm=clip
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    found = []
    for step, (features, targets, row_weights) in enumerate(batches(), 1):
        with tf.GradientTape() as tape:
            loss = Tags.loss_sum(targets, model(features), row_weights) / 4
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables)]
        optimizer.apply(gradients, model.trainable_variables)
        if step in (20, 60, STEPS):
            found.append(model.get_layer("token_embedding").embeddings.numpy())
    return found


@pytest.mark.parametrize(
    "schedule, clip, microbatches", [("linear", 1.0, 1), ("cosine", None, 1), ("constant", 0.5, 1), ("linear", 1.0, 2)]
)
def test_a_hundred_steps_are_those_of_keras(schedule, clip, microbatches):
    config = training(schedule=schedule, clip_norm=clip)
    ours, reference = tagger(), tagger()
    reference.set_weights(ours.get_weights())
    optimizer, step = trainer(config, ours, microbatches=microbatches)
    found = []
    for number, batch in enumerate(batches(), 1):
        step(batch)
        if number in (20, 60, STEPS):
            found.append(weights(ours, optimizer))
    for mine, plain in zip(found, keras_adamw(config, reference, clip)):
        np.testing.assert_allclose(mine, plain, atol=1e-5)
    start = reference.get_layer("token_embedding").embeddings.numpy()
    assert np.abs(start).max() > 0.2  # it has moved


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_layer_decay_and_every_form_of_adam(name):
    config = training(name=name, layer_decay=0.5)
    deferred, dense = tagger(), tagger()
    dense.set_weights(deferred.get_weights())
    tables = []
    for model, forms in ((deferred, FORMS), (dense, ())):
        depths = {model.get_layer("token_embedding").embeddings.path: 0}
        optimizer, step = trainer(config, model, depths, forms)
        assert len(optimizer.deferred) == len(forms)
        losses = [float(step(batch)) for batch in batches(30)]
        tables.append((weights(model, optimizer), losses))
    np.testing.assert_allclose(tables[0][0], tables[1][0], atol=1e-5)
    np.testing.assert_allclose(tables[0][1], tables[1][1], rtol=1e-4)


def test_a_look_at_the_weights_leaves_the_same_bits():
    config, states = training(), []
    start = tagger().get_weights()
    for looks in (False, True):
        model = tagger()
        model.set_weights(start)
        optimizer, step = trainer(config, model)
        for batch in batches(12):
            step(batch)
            if looks:
                weights(model, optimizer)
        states.append([np.asarray(v) for v in [*model.variables, *optimizer.variables]])
    for one, other in zip(*states):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_goes_on_to_the_same_bits_and_not_without_deferring(tmp_path):
    config, model = training(), tagger()
    optimizer, step = trainer(config, model)
    checkpoints = Checkpoints(tmp_path, model, optimizer, 2)
    checkpoints.prepare()
    for number, batch in enumerate(batches(12)):
        if number == 7:
            checkpoints.save()
        step(batch)
    again = tagger()
    optimizer, step = trainer(config, again)
    restored = Checkpoints(tmp_path, again, optimizer, 2)
    restored.restore()
    for batch in batches(12)[7:]:
        step(batch)
    assert restored.sha256() == checkpoints.sha256()
    other = tagger()
    with pytest.raises(UserError, match="had other variables"):
        Checkpoints(tmp_path, other, trainer(config, other, forms=())[0], 2).restore()


def test_a_gradient_that_is_no_number_is_told():
    optimizer, step = trainer(training(), tagger())
    features, targets, _ = batches(1)[0]
    assert np.isnan(float(step((features, targets, tf.constant([np.nan, 1, 1, 1], tf.float32)))))


class TestWhichLayers:
    @staticmethod
    def found(model, replicas=1, forms=FORMS, **keys):
        return [layer.name for layer in deferrable_layers(training(**keys), model, forms, replicas)]

    def test_a_large_trained_table_with_adam(self):
        assert self.found(tagger()) == ["token_embedding"]
        assert self.found(tagger(100)) == []
        assert self.found(tagger(), forms=()) == []

    @pytest.mark.parametrize("keys", [{"name": "lion"}, {"ema": 0.9}, {"gradient_accumulation": 2}, {"replicas": 2}])
    def test_not_where_every_row_is_needed_at_each_step(self, keys):
        assert self.found(tagger(), **keys) == []

    def test_not_frozen_and_not_adapted(self):
        frozen, adapted = tagger(), tagger()
        frozen.get_layer("token_embedding").trainable = False
        adapted.get_layer("token_embedding").enable_lora(2)
        assert self.found(frozen) == self.found(adapted) == []

    def test_not_a_table_that_is_an_output_layer_too(self, tiny_bert):
        backbone = tiny_bert(vocabulary=ROWS)
        assert self.found(backbone) == ["token_embedding"]
        assert self.found(keras_hub.models.BertMaskedLM(backbone)) == []
        ids = keras.Input((None,), dtype="int32")
        layer = keras_hub.layers.ReversibleEmbedding(ROWS, 4)
        assert self.found(keras.Model(ids, layer(layer(ids), reverse=True))) == []

    def test_a_table_that_is_read_as_a_whole_all_the_same_is_an_error(self):
        model = tagger()
        optimizer, _ = trainer(training(), model)

        class AllRows(Tags):
            @staticmethod
            def loss_sum(targets, logits, weights):
                return tf.reduce_sum(logits) + tf.reduce_sum(model.get_layer("token_embedding").embeddings)

        device = tf.distribute.OneDeviceStrategy("/cpu:0")
        step = make_train_step(StepPlan(model, TaskLoss(model, AllRows), optimizer, device))
        with pytest.raises(RuntimeError, match="read as a whole"):
            tf.function(step, autograph=False)(batches(1)[0])
