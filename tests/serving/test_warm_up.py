"""The warm-up file of an export holds what the official messages say, and each record was run."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tiny_export import LABELS, make_config, make_parts

from kerasft.errors import ServableError
from kerasft.serving import export_check
from kerasft.serving.capi import to_array
from kerasft.serving.capi_process import run_capi
from kerasft.serving.export_check import LARGEST_BATCH, Measured, WarmUp
from kerasft.serving.exporter import export
from kerasft.serving.sample_requests import requests
from kerasft.serving.servable_graph import read_meta_graph
from kerasft.serving.warm_up import FILE, read, record_run, request, write
from kerasft.tasks.text_classification.task import TextClassification

NAMES = ("serving_default", "tokens")


@pytest.fixture(scope="module")
def parts():
    keras.utils.set_random_seed(0)
    return make_parts(TextClassification(make_config(pair=True), {"labels": LABELS}))


@pytest.fixture(scope="module")
def exported(parts, tmp_path_factory):
    return export(*parts, tmp_path_factory.mktemp("saved_models") / "tiny", {})


@pytest.fixture
def saved(exported, tmp_path):
    """A copy of the export without its warm-up file."""
    shutil.copytree(exported, tmp_path / "1")
    (tmp_path / "1" / FILE).unlink()
    return tmp_path / "1"


def test_an_export_has_requests_for_every_signature(exported):
    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    asked = [log.predict_log.request for log in logs if log.WhichOneof("log_type") == "predict_log"]
    predicts, counts = ([each for each in asked if each.model_spec.signature_name == key] for key in NAMES)
    classifies = [log.classify_log.request for log in logs if log.WhichOneof("log_type") == "classify_log"]
    assert len(predicts) == len(counts) == len(classifies) == 3 and len(logs) == 9
    assert {asked.model_spec.name for asked in predicts + classifies} == {"tiny"}
    texts = [{name: tf.make_ndarray(tensor).tolist() for name, tensor in asked.inputs.items()} for asked in predicts]
    assert [len(rows["text"]) for rows in texts] == [1, 1, 2]
    short, long, both = texts
    assert len(long["text_pair"][0].split()) > 16 >= len(short["text_pair"][0].split())
    assert both["text_pair"] == [*short["text_pair"], *long["text_pair"]]
    examples = classifies[2].input.example_list.examples
    assert [example.features.feature["text_pair"].bytes_list.value[0] for example in examples] == both["text_pair"]


def measured(saved: Path) -> Measured:
    plan = WarmUp(saved, "tiny", {"text": "a", "text_pair": "b"}, 16)
    return plan.measured(run_capi(saved, [], plan.runs, timeout=120))


def test_what_was_measured_is_with_the_export(exported):
    measured = json.loads((exported / "assets.extra" / "kerasft.json").read_text())["measured"]
    assert 0 < measured["empty_bytes"] < measured["loaded_bytes"] <= measured["peak_bytes"]
    # A fresh process: what this one holds, TensorFlow's Python and Keras, is no part of it.
    assert measured["empty_bytes"] < 600 * 1024 * 1024
    assert all(measured[key] > 0 for key in measured)
    assert measured["largest_batch"] == LARGEST_BATCH


def test_a_record_that_fails_stops_the_export(saved, monkeypatch):
    def misspelt(name, key, columns):
        return request(name, key, {("txt" if key == "classify" else column): rows for column, rows in columns.items()})

    monkeypatch.setattr(export_check, "request", misspelt)
    with pytest.raises(ServableError, match=r"tf_serving_warmup_requests: record 1 fails, .*Feature: text"):
        measured(saved)


def test_the_answers_of_a_record_are_those_of_its_texts(saved):
    texts = {"text": [b"the oil price rose", b"shares fell"], "text_pair": [b"a", b"oil fell"]}
    write(saved, [request("tiny", key, texts) for key in ("serving_default", "classify")])
    runs = [record_run(read_meta_graph(saved), log) for log in read(saved)]
    predicted, classified = [run["outputs"] for run in run_capi(saved, [], runs, timeout=120)["runs"]]
    loaded = tf.saved_model.load(str(saved)).signatures["serving_default"]
    expected = loaded(**{name: tf.constant(rows) for name, rows in texts.items()})
    np.testing.assert_allclose(to_array(predicted["probabilities"]), expected["probabilities"], atol=1e-5)
    np.testing.assert_allclose(to_array(classified["scores"]), expected["probabilities"], atol=1e-5)


def test_a_file_that_a_server_would_refuse_is_refused(saved):
    assert read(saved) == []
    log = request("tiny", "serving_default", {"text": [b"a"], "text_pair": [b"b"]})
    write(saved, [log])
    good = (saved / FILE).read_bytes()
    (saved / FILE).write_bytes(good[:-3])
    with pytest.raises(ServableError, match="record 1 is not a TFRecord"):
        read(saved)
    with tf.io.TFRecordWriter(str(saved / FILE)) as writer:
        for _ in range(1001):
            writer.write(log.SerializeToString())
    with pytest.raises(ServableError, match="1001 records; TensorFlow Serving takes 1000 at most"):
        read(saved)
    with tf.io.TFRecordWriter(str(saved / FILE)) as writer:
        writer.write(b"\xff\xff")
    with pytest.raises(ServableError, match="record 1 is not a PredictionLog"):
        read(saved)


@pytest.mark.parametrize(
    ("key", "columns", "reason"),
    [
        ("other", {"text": [b"a"]}, "asks for the signature other, which the model does not have"),
        ("serving_default", {"text": [b"a"]}, "has the inputs text, not text, text_pair"),
    ],
)
def test_a_record_that_does_not_fit_the_model_is_refused(exported, key, columns, reason):
    with pytest.raises(ServableError, match=reason):
        record_run(read_meta_graph(exported), request("tiny", key, columns))


def test_the_long_request_fills_the_model_and_only_its_last_column():
    short, long = requests({"question": "Who built it?", "context": "Anna did."}, 384)
    assert long["question"] == short["question"] == [b"Who built it?"]
    assert len(long["context"][0].split()) > 384
    assert requests({"text": "a\ud800"}, 8)[0] == {"text": [b"a?"]}


def test_a_model_that_does_not_load_cannot_be_warmed_up(saved):
    (saved / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ServableError, match="the C API cannot load it"):
        measured(saved)
