"""An export answers raw strings as Keras does, holds each weight once, and appears whole or not at all."""

import json
import os
import stat
import threading

import numpy as np
import pytest
import tensorflow as tf
from tiny_export import LABELS, MAX_LENGTH, make_config, make_parts

from kerasft.drafts import make_draft
from kerasft.errors import UserError
from kerasft.inference.export import find_export, remove_drafts
from kerasft.serving import version_folder
from kerasft.serving.exporter import expected_answers, export
from kerasft.serving.servable_check import ServableError, to_examples
from kerasft.serving.servable_graph import METHODS, read_meta_graph
from kerasft.tasks.text_classification.task import TextClassification

TEXTS = {"text": [b"the oil price rose", b"shares fell"]}


@pytest.fixture(scope="module")
def parts():
    return make_parts(TextClassification(make_config(), {"labels": LABELS}))


@pytest.fixture(scope="module")
def exported(parts, tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved_models") / "tiny"
    return export(*parts, directory, {"run": "runs/tiny", "max_length": -1})


class Scalar(TextClassification):
    """Its answers hold a scalar, which no servable may."""

    def decode(self, logits, features):
        return {**super().decode(logits, features), "mean": tf.reduce_mean(logits)}


class Interrupted(TextClassification):
    """Ctrl-C comes while the graph is made."""

    def decode(self, logits, features):
        raise KeyboardInterrupt


class Drifting(TextClassification):
    """Decodes otherwise in a graph than eagerly."""

    def decode(self, logits, features):
        return super().decode(logits if tf.executing_eagerly() else logits * 1.01, features)


def test_the_loaded_export_answers_as_keras_does(parts, exported):
    expected = expected_answers(*parts, TEXTS)
    loaded = tf.saved_model.load(str(exported))
    answers = loaded.signatures["serving_default"](text=tf.constant(TEXTS["text"]))
    assert set(answers) == {"label", "score", "probabilities"}
    assert answers["label"].numpy().tolist() == expected["serving_default"]["label"].tolist()
    np.testing.assert_allclose(answers["probabilities"], expected["serving_default"]["probabilities"], atol=1e-6)
    assert np.abs(np.diff(answers["probabilities"], axis=0)).max() > 1e-3

    classified = loaded.signatures["classify"](inputs=tf.constant(to_examples(TEXTS)))
    assert classified["classes"].numpy().tolist() == [[label.encode() for label in LABELS]] * 2
    np.testing.assert_allclose(classified["scores"], answers["probabilities"], atol=1e-6)


def test_the_tokens_of_a_text_are_counted_before_it_is_cut(exported):
    count = tf.saved_model.load(str(exported)).signatures["tokens"]
    texts = ["the oil price", "", "ab zzz, rose", "\u4e16\u754c", "the " * 100, "\xff the"]
    found = count(text=tf.constant(texts))
    # "z" and the comma are in no vocabulary of this test; a Chinese character is a word
    assert found["tokens"].numpy().tolist() == [3, 0, 5, 2, 100, 2]
    assert found["unknown"].numpy().tolist() == [0, 0, 2, 2, 0, 1]


def test_a_missing_feature_is_an_error_that_names_it(exported):
    classify = tf.saved_model.load(str(exported)).signatures["classify"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Feature: text .*is required"):
        classify(inputs=tf.constant(to_examples({"txt": [b"oil"]})))


def test_method_names(exported):
    signatures = read_meta_graph(exported).signature_def
    assert signatures["classify"].method_name == METHODS["classify"] == "tensorflow/serving/classify"
    assert signatures["serving_default"].method_name == "tensorflow/serving/predict"


def test_each_weight_is_stored_once_and_nothing_of_training(parts, exported):
    model = parts[2]
    size = sum(file.stat().st_size for file in (exported / "variables").iterdir())
    assert 4 * model.count_params() <= size < 4 * model.count_params() + 20_000
    stored = [name for name, _ in tf.train.list_variables(str(exported / "variables" / "variables"))]
    assert len([name for name in stored if name.startswith("weights/")]) == len(model.weights)
    assert all(name.startswith(("weights/", "_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter")) for name in stored)
    assert len(model.variables) > len(model.weights)  # dropout seeds, which stay behind


def test_extras(exported):
    assert (exported / "assets.extra" / "labels.txt").read_text() == "sport\ntrade\ntwo\\nlines\n"
    facts = json.loads((exported / "assets.extra" / "kerasft.json").read_text())
    assert facts["task"]["name"] == "text_classification"
    assert facts["labels"] == LABELS
    assert facts["run"] == "runs/tiny"
    assert facts["max_length"] == MAX_LENGTH  # what is true wins over what the caller says
    assert facts["versions"]["tensorflow"] == tf.__version__
    assert facts["signatures"]["serving_default"]["inputs"] == {"text": {"dtype": "string", "shape": [-1]}}
    assert facts["signatures"]["classify"]["outputs"]["scores"] == {"dtype": "float32", "shape": [-1, 3]}


def test_versions_count_up_and_others_may_read_them(parts, exported):
    directory = exported.parent
    assert exported.name == "1"
    (directory / "7").mkdir()
    assert export(*parts, directory, {}).name == "8"
    assert sorted(os.listdir(directory)) == ["1", "7", "8"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(exported.stat().st_mode) == 0o777 & ~mask


@pytest.mark.parametrize(
    "kind, error", [(Scalar, ServableError), (Interrupted, KeyboardInterrupt), (Drifting, ServableError)]
)
def test_a_failed_export_leaves_nothing(parts, exported, tmp_path, kind, error):
    task, preprocessor, model = parts
    bad = kind(task.config, task.state)
    before = sorted(os.listdir(exported.parent))
    with pytest.raises(error):
        export(bad, preprocessor, model, exported.parent, {})
    assert sorted(os.listdir(exported.parent)) == before
    with pytest.raises(error):
        export(bad, preprocessor, model, tmp_path / "saved_models" / "new", {})
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_the_users_error(parts, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"export.dir: cannot make .*file.*; choose a folder you can write to"):
        export(*parts, tmp_path / "file" / "tiny", {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_the_users_error(parts, tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match="export.dir: cannot write to"):
        export(*parts, tmp_path, {})


def draft(folder, number):
    path = folder / f".draft-{number}" / "servable"
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_text(str(number))
    return path


def test_a_version_taken_meanwhile_is_left_alone(tmp_path, monkeypatch):
    rename = os.rename

    def late(source, target):
        if target.name == "1":
            rename(draft(tmp_path, "other"), target)
        rename(source, target)

    monkeypatch.setattr(version_folder.os, "rename", late)
    assert version_folder._publish(draft(tmp_path, "mine"), tmp_path) == tmp_path / "2"
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "other"
    assert (tmp_path / "2" / "saved_model.pb").read_text() == "mine"


def test_what_a_killed_export_left_is_removed_and_one_under_way_stays(tmp_path):
    (tmp_path / ".export-abcdefgh" / "servable" / "variables").mkdir(parents=True)
    (tmp_path / "1").mkdir()
    with make_draft(tmp_path, "export") as under_way:
        (under_way / "servable").mkdir()
        assert remove_drafts(tmp_path) == [tmp_path / ".export-abcdefgh"]
        assert under_way.exists()
    assert os.listdir(tmp_path) == ["1"]


def test_the_export_of_a_model_is_found_again(tmp_path):
    runs = [{"id": "a", "sha256": "1"}, {"id": "b", "sha256": "1"}, {"id": "a", "sha256": "1"}, None]
    for version, told in enumerate(runs, 9):
        folder = tmp_path / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "kerasft.json").write_text(json.dumps({"run": told} if told else ["not ours"]))
    assert find_export(tmp_path, runs[0]) == tmp_path / "11"
    assert find_export(tmp_path, runs[1]) == tmp_path / "10"
    assert find_export(tmp_path, {"id": "a", "sha256": "2"}) is None  # it was trained on
    assert find_export(tmp_path, None) is None and find_export(tmp_path / "none", runs[0]) is None


def test_exports_at_once_get_versions_of_their_own(tmp_path):
    drafts = [draft(tmp_path, number) for number in range(8)]
    threads = [threading.Thread(target=version_folder._publish, args=(path, tmp_path)) for path in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert sorted(int(path.name) for path in versions) == list(range(1, 9))
    assert sorted((path / "saved_model.pb").read_text() for path in versions) == [str(number) for number in range(8)]


def test_pairs_and_numbers(tmp_path):
    state = {"mean": 2.5, "deviation": 1.5}
    task = TextClassification(make_config("regression", pair=True), state)
    path = export(*make_parts(task), tmp_path / "pairs", {})
    signatures = tf.saved_model.load(str(path)).signatures
    texts = {"text": [b"the oil price rose"], "text_pair": [b"shares fell"]}
    value = signatures["serving_default"](**{name: tf.constant(rows) for name, rows in texts.items()})["value"]
    outputs = signatures["regress"](inputs=tf.constant(to_examples(texts)))["outputs"]
    assert outputs.shape == (1, 1)
    np.testing.assert_allclose(outputs[:, 0], value, atol=1e-6)
    swapped = signatures["serving_default"](text=texts["text_pair"], text_pair=tf.constant(texts["text"]))["value"]
    assert abs(float(swapped[0] - value[0])) > 1e-4
    assert read_meta_graph(path).signature_def["regress"].method_name == METHODS["regress"]
    assert not (path / "assets.extra" / "labels.txt").exists()
