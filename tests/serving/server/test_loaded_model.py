"""A version in memory answers every signature, and says what TensorFlow says of what it cannot answer."""

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode

from kerasft.errors import ServableError, UserError
from kerasft.serving.server.loaded_model import LoadedModel, bytes_of, concatenate, rows_of
from kerasft.serving.status import ServingError

TEXTS = np.array([b"goal match", b""], object)


@pytest.fixture(scope="module")
def model(exported):
    loaded = LoadedModel(exported("single_label") / "1")
    yield loaded
    loaded.close()


def test_a_signature_is_asked_by_name(model, exported):
    assert list(model.signatures) == ["classify", "serving_default", "tokens"] and model.unbatchable == set()
    outputs = model.run("serving_default", {"text": TEXTS})
    reference = tf.saved_model.load(str(exported("single_label") / "1")).signatures["serving_default"]
    expected = reference(text=tf.constant(TEXTS.tolist()))
    assert set(outputs) == set(expected)
    assert outputs["label"].tolist() == expected["label"].numpy().tolist()
    np.testing.assert_allclose(outputs["probabilities"], expected["probabilities"], atol=1e-6)


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (b"", "Feature: text (data type: string) is required but could not be found."),
        (b"no example zzsecret", "Could not parse example input"),
        (b"no example zzsecret \xff", "the model refuses an input that is not UTF-8"),
    ],
)
def test_what_tensorflow_refuses_is_told_in_one_line_and_not_quoted(model, example, expected):
    with pytest.raises(ServingError) as failed:
        model.run("classify", {"inputs": np.array([example], object)})
    assert failed.value.code is StatusCode.INVALID_ARGUMENT
    assert failed.value.message.endswith(expected)


def test_what_nobody_waits_for_any_more_is_stopped(model):
    texts = np.array([b"goal match " * 20_000] * 64, object)
    with pytest.raises(ServingError) as late:
        model.run("serving_default", {"text": texts}, seconds=0.001)
    assert late.value.code is StatusCode.DEADLINE_EXCEEDED
    assert len(model.run("serving_default", {"text": TEXTS}, seconds=600.0)["label"]) == 2  # and the next one is run


@pytest.mark.parametrize(("content", "kind"), [(None, UserError), (b"\xff", ServableError), (b"", ServableError)])
def test_a_folder_that_is_none(tmp_path, content, kind):
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(kind):
        LoadedModel(tmp_path)


def test_sizes():
    inputs = {"text": TEXTS, "top": np.int32([1, 2])}
    assert rows_of(inputs) == 2 and bytes_of(inputs) == len(b"goal match") + 8
    assert rows_of({}) == rows_of({"x": np.float32(3)}) == 1
    both = concatenate([inputs, inputs])
    assert both["top"].tolist() == [1, 2, 1, 2] and len(both["text"]) == 4
