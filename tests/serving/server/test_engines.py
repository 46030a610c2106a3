"""What answers a version: the SavedModel, or a form beside it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from kerasft.errors import ServableError
from kerasft.runs import Run
from kerasft.serving.formats.registry import write_formats
from kerasft.serving.server import engines
from kerasft.serving.server.engines import put_in
from kerasft.serving.server.loaded_model import LoadedModel

TEXTS = {"text": np.array([b"the goal", b"bank stock price", b"a match of the team"], object)}
FOLDER = Path("saved_models/tiny")
BODY = {"instances": ["the goal", "bank stock price"]}


@pytest.fixture
def litert(trained_project) -> Path:
    """A version with its LiteRT form beside it."""
    run = Run.open(Path("runs/tiny"))
    export = run.config.export.model_copy(update={"formats": ["saved_model", "litert"]})
    write_formats(Run(run.folder, run.config.model_copy(update={"export": export})), FOLDER, print)
    return FOLDER / "1"


def test_a_form_answers_in_the_place_of_the_session_and_auto_takes_the_fastest(litert, start, monkeypatch):
    model = LoadedModel(litert)
    expected = model.run("serving_default", TEXTS)
    assert put_in(model, litert, "litert").engine == "litert"
    answers = model.run("serving_default", TEXTS)
    assert list(answers) == list(expected)
    assert {name: each.dtype for name, each in answers.items()} == {name: e.dtype for name, e in expected.items()}
    assert answers["label"].tolist() == expected["label"].tolist()
    assert not np.array_equal(answers["score"], expected["score"])  # eight bits
    np.testing.assert_allclose(answers["score"], expected["score"], atol=0.02)
    model.run("tokens", TEXTS)  # another signature is the session's

    chosen = put_in(model, litert, "auto")
    assert chosen.seconds.keys() == {"saved_model", "litert"} and "has no onnx form" in chosen.left_out["onnx"]
    for slower, faster in (("saved_model", "litert"), ("litert", "saved_model")):
        times = iter([[2.0, 2.0], [1.0, 1.0]] if faster == "litert" else [[1.0, 1.0], [2.0, 2.0]])
        monkeypatch.setattr(engines, "_seconds", lambda *about, times=times: next(times))
        assert put_in(model, litert, "auto").engine == faster != slower
        assert (model.engine is None) == (faster == "saved_model")
    model.close()

    with start(FOLDER, engine="litert") as running:
        status, body = running.rest("/v1/models/tiny:predict", BODY)
        assert status == 200 and [row["label"] for row in body["predictions"]] == ["sport", "money"]
        assert running.told("engine")[0]["engine"] == "litert"


def test_a_form_that_disagrees_or_is_of_another_training_does_not_answer(litert):
    model, file = LoadedModel(litert), FOLDER / "litert" / "kerasft.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"check": facts["check"] | {"agreement": 0.95}}))
    chosen = put_in(model, litert, "auto")
    assert chosen.engine == "saved_model" and model.engine is None
    assert chosen.left_out["litert"] == "95.0% of its check's texts had Keras' answer, fewer than 98%"
    assert dataclasses.asdict(chosen)["seconds"].keys() == {"saved_model"}
    file.write_text(json.dumps(facts | {"run": {"id": "another"}}))
    with pytest.raises(ServableError, match="is of another training than"):
        put_in(model, litert, "litert")
    with pytest.raises(ServableError, match=r"has no onnx form beside it; export it with export.formats: \[saved_mod"):
        put_in(model, litert, "onnx")
    model.close()
