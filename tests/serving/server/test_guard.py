"""A server that keeps the filters of an export's config."""

import json
import shutil

import numpy as np
import pytest

from kerasft import load
from kerasft.errors import ServableError, UserError
from kerasft.serving.server.moved_places import MovedPlaces

PREDICT, CLASSIFY = "/v1/models/single_label:predict", "/v1/models/single_label:classify"
METRICS = "/monitoring/prometheus/metrics"


def filtered(folder, *filters):
    """Writes filters into the config of an export."""
    file = folder / "1" / "assets.extra" / "kerasft.json"
    facts = json.loads(file.read_text())
    facts["config"]["serving"] = {"filters": list(filters)}
    file.write_text(json.dumps(facts))
    return folder


def test_texts_are_stopped_masked_and_counted_by_words_and_by_a_model(model_folder, exported, start, tmp_path):
    answers = {}
    review = tmp_path / "review.jsonl"
    with start(model_folder) as plain:
        for text in ("goal in the match", "a bank"):
            answers[text] = plain.rest(PREDICT, {"instances": [text]})[1]["predictions"][0]["label"]
    label = answers["a bank"]
    filters = (
        {"name": "words", "words": ["idiot"]},
        {"name": "mail", "patterns": ["email"], "action": "mask"},
        {
            "name": "model",
            "model": str(exported("single_label")),
            "labels": [label],
            "threshold": 0.01,
            "action": "flag",
        },
    )
    with start(filtered(model_folder, *filters), review_file=review) as running:
        assert running.rest(PREDICT, {"instances": ["a bank"]})[1]["predictions"][0]["label"] == label
        status, answer = running.rest(PREDICT, {"instances": ["fine", "you idiot"]})
        assert status == 403 and "filter words" in answer["error"] and "idiot" not in answer["error"]
        status, _ = running.rest(CLASSIFY, {"signature_name": "classify", "examples": [{"text": "Idiot!"}]})
        assert status == 403
        masked = running.rest(PREDICT, {"instances": ["goal a@b.org", "goal [mail]"]})[1]["predictions"]
        assert masked[0] == masked[1]
        connection = running.http()
        connection.request("GET", METRICS)
        page = connection.getresponse().read().decode()
        connection.close()
        with pytest.raises(UserError, match="the export has no signature explain"):
            load(f"http://127.0.0.1:{running.server.rest_port}/v1/models/single_label").explain(["goal"])
    assert 'kerasft_filtered_texts_total{action="block",filter="words",model="single_label",side="input"} 2.0' in page
    found = [json.loads(line) for line in review.read_text().splitlines()]
    assert {line["filter"] for line in found} >= {"words", "mail", "model"}
    assert "a@b.org" not in review.read_text()


def test_places_in_an_answer_are_those_of_the_text_that_was_sent(exported, start, tmp_path):
    name, predict = "question_answering", "/v1/models/question_answering:predict"
    shutil.copytree(exported(name), tmp_path / name)
    sent, masked = "a@b.org: goal in the match", "[mail]: goal in the match"
    rows = [{"question": "who", "context": text} for text in (sent, masked)]
    with start(tmp_path / name) as plain:
        before = plain.rest(predict, {"instances": rows[1:]})[1]["predictions"][0]
    filters = {"name": "mail", "patterns": ["email"], "action": "mask"}
    with start(filtered(tmp_path / name, filters)) as running:
        first, second = running.rest(predict, {"instances": rows})[1]["predictions"]
    assert second == before and first["answer"] == second["answer"]
    places = [("start", "end")] + ([("starts", "ends")] if "starts" in before else [])
    for lower, upper in places:
        for key, bound in ((lower, 6), (upper, 1)):  # the mask is of 6 characters, and what it hides of 7
            mine, theirs = np.ravel(first[key]), np.ravel(second[key])
            inside = (theirs >= 0) & (theirs < bound)
            assert np.all(mine == np.where(inside, np.minimum(theirs, 0), theirs + (theirs >= bound)))


def test_places_move_back_through_two_masks():
    moved = MovedPlaces()
    moved.add("text", 0, "ab cd ef", "[x]", [(3, 5)])  # ab [x] ef
    moved.add("text", 0, "ab [x] ef", "[long]", [(7, 9)])  # ab [x] [long]
    starts, ends = np.array([[0, 3, 4, 7, -1], [3, 0, 0, 0, 0]]), np.array([[2, 6, 5, 13, -1], [5, 0, 0, 0, 0]])
    found = moved.moved({"starts": starts, "ends": ends}, ["text", "adapter"])
    assert found["starts"].tolist() == [[0, 3, 3, 6, -1], [3, 0, 0, 0, 0]]
    assert found["ends"].tolist() == [[2, 5, 5, 8, -1], [5, 0, 0, 0, 0]]
    columns = np.array([[1, 0, 0, 1, -1], [-1] * 5])
    found = moved.moved({"starts": starts, "ends": ends, "columns": columns}, ["text_pair", "text"])
    assert found["starts"][0].tolist() == [0, 3, 3, 7, -1] and found["ends"][0].tolist() == [2, 5, 5, 13, -1]
    assert moved.moved({"score": starts}, ["text"]) == {"score": starts}


def test_a_filter_whose_model_is_missing_keeps_the_version_from_being_served(model_folder, start):
    filters = {"name": "tox", "model": str(model_folder / "nowhere"), "labels": ["x"]}
    with (
        pytest.raises(ServableError, match="the model of the filter tox, .* holds no version"),
        start(filtered(model_folder, filters)),
    ):
        pass
