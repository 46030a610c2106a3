"""A server that keeps the filters of an export's config."""

import json

import pytest

from kerasft import load
from kerasft.errors import ServableError, UserError

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


def test_a_filter_whose_model_is_missing_keeps_the_version_from_being_served(model_folder, start):
    filters = {"name": "tox", "model": str(model_folder / "nowhere"), "labels": ["x"]}
    with (
        pytest.raises(ServableError, match="the model of the filter tox, .* holds no version"),
        start(filtered(model_folder, filters)),
    ):
        pass
