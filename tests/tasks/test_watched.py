"""What each task says is watched of its answers, row by row."""

import numpy as np
import pytest

from kerasft.evaluation.answer_measures import Watched
from kerasft.tasks.watched import watched_of

LABELS = ["sport", "trade"]
TEXTS, ENTITIES = watched_of("text_classification"), watched_of("token_classification")


def strings(*values):
    return np.array([value.encode() for value in values], object)


def test_the_answers_of_the_tasks():
    score = np.float32([0.5, 0.9])
    one = TEXTS.answers({"label": strings("sport", "trade"), "score": score}, LABELS)
    assert one["label"] == [("sport",), ("trade",)] and one["confidence"] == [(0.5,), (pytest.approx(0.9),)]
    unmarked = watched_of("relation_extraction").answers({"relation": strings("", "Beats"), "score": score}, ["Beats"])
    assert unmarked["label"] == [(), ("Beats",)]
    chosen = np.int32([[1, 1], [0, 0]])
    several = TEXTS.answers({"label": strings("sport", "sport"), "score": score, "chosen": chosen}, LABELS)
    assert several["label"] == [("sport", "trade"), ()]
    entities = {
        "types": np.array([[b"person", b""], [b"place", b"person"]], object),
        "scores": np.float32([[0.5, 0], [0.25, 0.75]]), "count": np.int64([1, 2]),
    }  # fmt: skip
    assert ENTITIES.answers(entities, None) == {
        "label": [("person",), ("place", "person")], "confidence": [(0.5,), (0.25, 0.75)],
    }  # fmt: skip
    asked = watched_of("question_answering").answers(
        {"answer": strings("a", ""), "start": np.int32([3, -1]), "score": score}, None
    )
    assert asked["label"] == [("answered",), ()]
    assert TEXTS.answers({"value": np.float32([1.5, np.nan])}, None) == {"value": [(1.5,), ()]}
    assert watched_of("text_embedding").answers({"embedding": np.zeros((2, 3))}, None) == {}
    assert watched_of("seq2seq").answers({"text": strings("a")}, None) == {}


@pytest.mark.parametrize(
    "name", ["of_a_later_version", "", "../tasks", "generation.mode", "base", "generation", "watched", "__pycache__"]
)
def test_of_a_task_that_is_not_known_only_the_texts_are_watched(name):
    assert watched_of(name) == Watched()


def test_of_many_labels_those_that_are_chosen_stand_there_by_name():
    outputs = {"labels": np.array([[b"a", b"b"], [b"c", b""]], object), "count": np.int64([2, 1])}
    assert TEXTS.answers(outputs | {"score": np.float32([0.5, 0.5])}, LABELS)["label"] == [("a", "b"), ("c",)]


def test_a_row_of_many_entities_counts_as_fifty():
    many = {"types": np.full((1, 80), b"a", object), "scores": np.zeros((1, 80)), "count": np.int64([80])}
    assert len(ENTITIES.answers(many, None)["label"][0]) == 50


def test_classify_and_regress_say_what_predict_says():
    outputs = {
        "classes": np.array([[b"sport", b"trade"]] * 3, object),
        "scores": np.float32([[0.6, 0.7], [0.1, 0], [0, 0]]),
    }
    assert TEXTS.methods(outputs, {})["label"] == [("trade",), ("sport",), ()]
    assert TEXTS.methods(outputs, {"thresholds": [0.5, 0.7]})["label"] == [("sport", "trade"), (), ()]
    assert TEXTS.methods(outputs, {"threshold": 0.5}) == {}  # what is out of scope is decided by more than scores
    assert TEXTS.methods({"outputs": np.float32([[2.0], [3.0]])}, {}) == {"value": [(2.0,), (3.0,)]}
