"""What Keras classes have in common with a run of the command line, and what a file of theirs can't do."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.projects import trained  # noqa: F401
from support.small_presets import small_presets  # noqa: F401

import kerasft
from kerasft.data.batching.epochs import Epochs
from kerasft.errors import UserError
from kerasft.keras_models.examples import fit_arguments, prepared_examples
from kerasft.runs import Run
from kerasft.training.objectives.task_loss import TaskLoss

TEXTS = ["goal by the team", "the stock price of a bank", "match score", "bank in trade", "a coach", "market"]
LABELS = ["sport", "trade"] * 3


def make(folder, **options):
    """A classifier that is trained without a graph."""
    model = kerasft.TextClassifier.from_preset(str(folder / "encoder"), **{"labels": ["sport", "trade"], **options})
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def model(small_presets):  # noqa: F811
    return make(small_presets, seed=7)


def test_it_minimises_what_a_run_does_in_batches_of_the_same_rows(model):
    prepared = prepared_examples(model, TEXTS, LABELS, training=True)
    arguments = fit_arguments(model, (TEXTS, LABELS, None), True, {"epochs": 2, "batch_size": 4})
    plan = Epochs(prepared.tokens, 4, "bucket", 7)
    for epoch in range(2):
        arguments["callbacks"][-1].on_epoch_begin(epoch)
        for rows, batch in zip(plan.batches(epoch), arguments["x"], strict=True):
            features, targets, weights = prepared.batch(rows)
            np.testing.assert_array_equal(batch[0]["token_ids"], features["token_ids"])
            step = TaskLoss(model.network, model.task).loss(*batch) / np.sum(weights)
            mine = model.compute_loss(features, tf.constant(targets), model(features, training=True), weights)
            assert float(mine) == pytest.approx(float(step), rel=1e-6)


def test_weights_of_examples_count(model):
    every = model.evaluate(TEXTS, LABELS, verbose=0, return_dict=True)["loss"]
    first = model.evaluate(TEXTS, LABELS, sample_weight=[1, 0, 0, 0, 0, 0], verbose=0, return_dict=True)["loss"]
    alone = model.evaluate(TEXTS[:1], LABELS[:1], verbose=0, return_dict=True)["loss"]
    assert first == pytest.approx(alone, rel=1e-5) and first != pytest.approx(every, rel=1e-5)
    with pytest.raises(UserError, match="6 texts and 1 in sample_weight"):
        model.evaluate(TEXTS, LABELS, sample_weight=[1])


def test_validation_is_measured_in_each_epoch(model):
    history = model.fit(TEXTS, LABELS, validation_split=0.5, epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2
    history = model.fit(TEXTS, LABELS, validation_data=(TEXTS[:2], [0, 1]), verbose=0).history
    assert "val_accuracy" in history


def test_data_sets_have_batches_and_an_end(model, small_presets):  # noqa: F811
    data = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS))
    for given, message in ((data, "not batched; call .batch"), (data.take(0).batch(2), "is empty")):
        with pytest.raises(UserError, match=message):
            model.fit(given)
    with pytest.raises(UserError, match="holds labels and weights itself"):
        model.fit(data.batch(2), LABELS)


def test_a_number_is_learnt_on_the_scale_of_the_training_data(small_presets, tmp_path):  # noqa: F811
    numbers = [10.0, 20.0, 10.0, 20.0, 10.0, 20.0]
    lists, stream = (make(small_presets, labels=None, problem="regression") for _ in range(2))
    lists.fit(TEXTS, numbers, verbose=0)
    stream.fit(tf.data.Dataset.from_tensor_slices((TEXTS, numbers)).batch(2), verbose=0)
    assert lists.task.state == stream.task.state == {"mean": 15.0, "deviation": 5.0}
    lists.fit(TEXTS, [0.0, 1.0] * 3, verbose=0)  # the head goes on with the scale that it began with
    lists.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.task.state["mean"] == 15.0 and not again._learns()
    endless = tf.data.Dataset.from_tensor_slices((TEXTS, numbers)).batch(2).repeat()
    with pytest.raises(UserError, match="has no end"):
        make(small_presets, labels=None, problem="regression").fit(endless, steps_per_epoch=2)


def test_a_run_is_a_preset_with_its_head(trained):  # noqa: F811
    run = trained / "runs" / "tiny"
    asked = ["goal match", "bank stock market"]
    mine = kerasft.TextClassifier.from_preset(f"run:{run}").predict(asked)
    task, loaded = Run.open(run).load().task, kerasft.load(run)
    assert [answer["label"] for answer in mine] == [answer["label"] for answer in loaded.answer(asked)]
    assert mine[0]["probabilities"] == pytest.approx(loaded.answer(asked)[0]["probabilities"], abs=1e-5)
    other = kerasft.TextClassifier.from_preset(f"run:{run}", labels=["a", "b", "c"])
    assert other.network.output.shape == (None, 3) and task.state["labels"] == ["money", "sport"]


def test_what_is_preprocessed_goes_to_keras(model, small_presets):  # noqa: F811
    raw = make(small_presets, preprocessor=None)
    features = {name: values.numpy() for name, values in model.preprocessor({"text": tf.constant(TEXTS)}).items()}
    assert raw.fit(features, np.array([0, 1] * 3), batch_size=3, verbose=0).history["loss"]
    assert raw.predict(features, verbose=0).shape == (6, 2)
    for use in (lambda: raw.predict(TEXTS), lambda: raw.fit(TEXTS, LABELS)):
        with pytest.raises(UserError, match="preprocessor is None"):
            use()
    with pytest.raises(UserError, match="export: this model reads preprocessed data"):
        raw.export("tiny")
    with pytest.raises(UserError, match="texts are needed"):
        model.fit([1.5, 2.5], LABELS[:2])


def test_layers_that_are_frozen_and_the_precision_come_back_from_a_file(small_presets, tmp_path):  # noqa: F811
    model = make(small_presets, trainable="head", dtype="mixed_bfloat16")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert len(again.trainable_variables) == len(model.trainable_variables) == 2
    assert again.backbone.dtype_policy.name == "mixed_bfloat16" and again.settings == model.settings


def test_a_trained_model_gets_another_dropout(model, tmp_path):
    model.save_to_preset(tmp_path)
    again = kerasft.TextClassifier.from_preset(str(tmp_path), dropout=0.3)
    assert again.backbone.dropout == 0.3 and again.network.get_layer("classifier_dropout").rate == 0.3
    for mine, theirs in zip(again.network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_preset_s_folder_is_replaced_whole_and_no_other_folder_is(model, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    model.save_to_preset(folder)
    (folder / "old.weights.npz").write_bytes(b"of a part that the model no longer has")
    model.save_to_preset(folder)
    before = sorted(path.name for path in folder.iterdir())
    assert "old.weights.npz" not in before and "kerasft_task.json" in before

    def full(settings, draft):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kerasft.keras_models.saved_file.save_settings", full)
    with pytest.raises(OSError, match="No space left"):
        model.save_to_preset(folder)
    assert sorted(path.name for path in folder.iterdir()) == before and [*tmp_path.iterdir()] == [folder]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("one")
    with pytest.raises(UserError, match="thesis has other files in it; name a new folder"):
        model.save_to_preset(tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"registered_name": "keras>Lambda", "class_name": "Lambda"}, "which is not made"),
        ({"registered_name": "keras_hub>BertBackbone", "module": "os"}, "os.BertBackbone, which is not made"),
    ],
)
def test_a_file_runs_no_code(model, tmp_path, change, message):
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as old, zipfile.ZipFile(tmp_path / "other.keras", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["backbone"].update(change)
                content = json.dumps(config)
            new.writestr(name, content)
    with pytest.raises((TypeError, ValueError, UserError), match=message):
        keras.saving.load_model(tmp_path / "other.keras")
