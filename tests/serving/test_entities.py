"""A served tagger answers real texts as it does in this process, offsets included."""

import json

import numpy as np
import pytest

from kerasft.config.schema import Config
from kerasft.inference.export import Export
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.runs import Trained
from kerasft.serving.exporter import export
from kerasft.tasks.registry import create_task

LABELS = ["person", "place", "thing"]


def make_trained(preset, **task):
    """A tagger with random weights, large enough for it to see entities everywhere."""
    config = Config.model_validate(
        {
            "name": "tiny",
            "task": {"name": "token_classification", "stride": 8, **task},
            "model": {"preset": str(preset), "max_length": 24},
            "data": {"train": "train.jsonl", "columns": {"tokens": "tokens", "tags": "tags"}},
        }
    )
    made = create_task(config, {"labels": LABELS})
    backbone = load_backbone(str(preset))
    model = made.build(backbone)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.weights])
    return Trained(made, made.preprocessor(backbone, load_tokenizer(str(preset))), model)


@pytest.mark.parametrize("crf", [pytest.param(False, marks=pytest.mark.long), True])
def test_two_hundred_real_texts(tiny_preset, shared_data, tmp_path, crf):
    trained = make_trained(tiny_preset, crf=crf)
    texts = []
    for name, joiner in (("wnut17", " "), ("weibo_ner", "")):
        rows = (shared_data / name / "test.jsonl").read_text(encoding="utf-8").splitlines()[:100]
        texts += [joiner.join(json.loads(row)["tokens"]) for row in rows]
    export(
        trained.task,
        trained.preprocessor,
        trained.model,
        tmp_path / "tiny",
        {"config": trained.task.config.model_dump(), "state": trained.task.state},
    )
    served = Export.open(tmp_path / "tiny").load()
    ours, theirs = (each.task.rows(each.answer({"text": texts})) for each in (trained, served))
    assert len(ours) == len(texts) == 200
    entities = 0
    for text, mine, other in zip(texts, ours, theirs):
        for name in ("text", "type", "start", "end"):
            assert [e[name] for e in mine["entities"]] == [e[name] for e in other["entities"]]
        scores = [[e["score"] for e in row["entities"]] for row in (mine, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)
        assert all(
            e["text"] == text[e["start"] : e["end"]] and e["text"].strip() == e["text"] for e in mine["entities"]
        )
        entities += len(mine["entities"])
    assert entities > 100  # a random model answers some; how many depends on its seed


def test_what_is_not_utf8_is_answered_by_the_text_with_replacements(tiny_preset):
    trained = make_trained(tiny_preset)
    broken = "the café \U0001f468\u200d\U0001f469 \0 bank".encode() + b" \xff\xc3( market"
    (answer,) = trained.task.rows(trained.answer({"text": [broken]}))
    text = broken.decode("utf-8", errors="replace")
    assert answer["entities"]
    assert all(e["text"] == text[e["start"] : e["end"]] for e in answer["entities"])


def test_shapes_do_not_depend_on_what_else_is_in_the_batch(tiny_preset):
    trained = make_trained(tiny_preset)
    texts = ["", "the coach of the team", "market bank " * 40]
    together = trained.task.rows(trained.answer({"text": texts}))
    for text, row in zip(texts, together):
        (alone,) = trained.task.rows(trained.answer({"text": [text]}))
        assert [{**e, "score": round(e["score"], 4)} for e in alone["entities"]] == [
            {**e, "score": round(e["score"], 4)} for e in row["entities"]
        ]
    outputs = trained.answer({"text": texts})
    assert outputs["count"].shape == (3,) and outputs["count"][0] == 0
    width = int(outputs["count"].max())
    assert all(outputs[name].shape == (3, width) for name in ("entities", "types", "starts", "ends", "scores"))
    assert outputs["scores"].dtype == np.float32
