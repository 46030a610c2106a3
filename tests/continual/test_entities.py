"""Taggers that get new types: "no entity" says nothing of types that a row was not labelled for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.continual.methods import partial_types
from kerasft.continual.methods.partial_types import PartialTypes
from kerasft.continual.record import without_types
from kerasft.data.prepared.beside import PREFIX
from kerasft.data.prepared.token_windows import PreparedWindows
from kerasft.tasks.registry import create_task

# One row of four tokens; tags O, B-a, I-a and, new in the stage, B-b, I-b. The last token has none.
LOGITS = np.array(
    [[[0.5, 1.0, -1.0, 0.3, 0.0], [2.0, 0.1, 0.2, 1.5, -0.5], [0.0, 0.4, 0.8, -0.2, 1.1], [9, 9, 9, 9, 9]]]
)
TARGETS = np.array([[3, 0, 0, -1]], np.int32)
ANSWERS = np.array([[[0.2, 0.5, 0.3], [0.1, 0.7, 0.2], [0.9, 0.0, 0.1], [0, 0, 0]]], np.float32)


def tagger(strength: float = 1.0, temperature: float = 1.0) -> PartialTypes:
    config = {
        "name": "t", "task": {"name": "token_classification"}, "model": {"preset": "x"},
        "data": {"train": "x", "columns": {"tokens": "tokens", "tags": "tags"}},
    }  # fmt: skip
    inputs = {"vectors": keras.Input((None, 5), name="vectors")}
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs["vectors"]))
    task = create_task(Config.model_validate(config), {"labels": ["a", "b"]})
    labelled, own = np.array([[False], [True]]), np.array([True, False])
    return PartialTypes(model, task, labelled=labelled, own=own, strength=strength, temperature=temperature)


def log_softmax(values):
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


@pytest.mark.parametrize("new_types_unknown, strength, temperature", [(0, 1.0, 1.0), (1, 1.0, 1.0), (0, 0.5, 2.0)])
def test_a_token_without_a_type_has_the_old_answer_and_leaves_new_types_open(new_types_unknown, strength, temperature):
    inputs = {
        "vectors": LOGITS,
        PREFIX + "answers": ANSWERS,
        PREFIX + "open": np.full((1, 4), float(new_types_unknown)),
    }
    inputs = {name: tf.constant(value, tf.float32) for name, value in inputs.items()}
    found = float(tagger(strength, temperature).loss(inputs, tf.constant(TARGETS), tf.constant([2.0])))
    likely = log_softmax(LOGITS[0] / temperature)
    none = np.log(np.exp(likely[:, 0]) + new_types_unknown * np.exp(likely[:, 3:]).sum(-1))
    soft = -(ANSWERS[0, :, 0] * none + (ANSWERS[0, :, 1:] * likely[:, 1:3]).sum(-1))
    each = [-log_softmax(LOGITS[0])[0, 3], *(strength * temperature**2 * soft[1:3])]
    assert found == pytest.approx(2.0 * np.mean(each), rel=1e-5)


def test_old_answers_count_for_types_that_a_row_was_not_labelled_for(monkeypatch):
    # A text of one window and one of two; the second was labelled for type a, and not for the new one.
    split = object.__new__(PreparedWindows)
    for name, value in {"texts": 2, "windows": np.array([1, 2]), "offsets": np.array([0, 1, 2, 3])}.items():
        object.__setattr__(split, name, value)

    class Logits:
        def __init__(self, model, strategy, size):
            self.logits = lambda split: np.log(np.array([[0.2, 0.5, 0.3, 1.0, 1.0]] * 3, np.float32))

    monkeypatch.setattr(partial_types, "Evaluator", Logits)
    found = tagger().beside_targets(split)
    np.testing.assert_allclose(found["answers"], [[0.2, 0.5, 0.3], [1, 0, 0], [1, 0, 0]], atol=1e-6)
    assert found["open"].tolist() == [False, True, True]


def test_an_answer_of_a_type_that_rows_were_not_labelled_for_is_none():
    names = ["none", "begins a", "inside a", "begins b", "inside b"]
    found = without_types(np.array([[0.0, 1.0, 0.5, 2.0, 0.1], [0.0, 3.0, 0.5, 2.0, 0.1]]), names, names[:3])
    assert found.argmax(1).tolist() == [0, 1]
    logits = LOGITS[0]
    assert without_types(logits, names, names) is logits
