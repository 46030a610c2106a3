"""A served question answerer answers real questions as it does in this process, offsets included."""

import json

import numpy as np
import pytest

from kerasft.config.schema import Config
from kerasft.inference.export import Export
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.runs import Trained
from kerasft.serving.exporter import export
from kerasft.tasks.registry import create_task

N_BEST = 5
THRESHOLD = -0.65  # at which this random model refuses some questions and answers others


def make_trained(preset, **state):
    """A model with random weights, of which answers are as long as they may be."""
    config = Config.model_validate(
        {
            "name": "tiny",
            "task": {"name": "question_answering", "max_question_length": 12, "stride": 8, "n_best": N_BEST},
            "model": {"preset": str(preset), "max_length": 48},
            "data": {
                "train": "train.jsonl",
                "columns": {"question": "question", "context": "context", "answers": "answers"},
            },
        }
    )
    made = create_task(config, {"no_answer": False, **state})
    backbone = load_backbone(str(preset))
    model = made.build(backbone)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.weights])
    return Trained(made, made.preprocessor(backbone, load_tokenizer(str(preset))), model)


def assert_from_contexts(contexts, rows):
    for context, row in zip(contexts, rows):
        for found in [row | {"text": row["answer"]}, *row["n_best"]]:
            if found["start"] < 0:
                assert (found["text"], found["start"], found["end"]) == ("", -1, -1)
            else:
                assert found["text"] == context[found["start"] : found["end"]] == found["text"].strip() != ""


def test_two_hundred_real_questions(tiny_preset, shared_data, tmp_path):
    trained = make_trained(tiny_preset, no_answer=True, threshold=THRESHOLD)
    rows = []
    for language in ("en", "zh"):
        lines = (shared_data / "xquad" / f"test.{language}.jsonl").read_text(encoding="utf-8").splitlines()[::11]
        rows += [json.loads(line) for line in lines[:100]]
    columns = {name: [row[name] for row in rows] for name in ("question", "context")}
    facts = {"config": trained.task.config.model_dump(), "state": trained.task.state}
    export(trained.task, trained.preprocessor, trained.model, tmp_path / "tiny", facts)
    served = Export.open(tmp_path / "tiny").load()
    ours, theirs = (each.task.rows(each.answer(columns)) for each in (trained, served))
    assert len(ours) == len(theirs) == 200
    for mine, other in zip(ours, theirs):
        assert [mine[name] for name in ("answer", "start", "end")] == [
            other[name] for name in ("answer", "start", "end")
        ]
        assert mine["score"] == pytest.approx(other["score"], abs=1e-4)
        for one, two in zip(mine["n_best"], other["n_best"], strict=True):
            assert (one["text"], one["start"], one["end"]) == (two["text"], two["start"], two["end"])
    assert_from_contexts(columns["context"], ours)
    refused = sum(row["start"] < 0 for row in ours)
    assert 20 < refused < 180


def test_odd_questions_and_contexts_are_answered(tiny_preset):
    trained = make_trained(tiny_preset)
    texts = [
        "",
        " \t\n",
        "the bank",
        "market " * 14_000,
        "caf\u00e9 e\u0301 \U0001f469\u200d\U0001f4bb \0",
        "\u5317\u4eac",
    ]
    encoded = [text.encode() for text in texts] + [b"\xff\xfe bank \xc3"]
    pairs = [(question, context) for question in encoded for context in encoded]
    rows = trained.task.rows(trained.answer({"question": [q for q, _ in pairs], "context": [c for _, c in pairs]}))
    contexts = [context.decode("utf-8", errors="replace") for _, context in pairs]
    assert_from_contexts(contexts, rows)
    for context, row in zip(contexts, rows):
        assert (row["start"] < 0) == (not context.strip())  # a model that knows no refusal answers whatever it can
        assert (row["score"] > 0) == (row["start"] >= 0)
        assert sum(found["score"] for found in row["n_best"]) == pytest.approx(min(1, len(row["n_best"])), abs=1e-5)


def test_answers_do_not_depend_on_what_else_is_in_the_batch(tiny_preset):
    trained = make_trained(tiny_preset, no_answer=True, threshold=0.0)
    columns = {
        "question": ["which bank", "", "the coach of the team?"],
        "context": ["the bank of the market", "", "the coach of the team and a bank in the market " * 20],
    }
    outputs = trained.answer(columns)
    together = trained.task.rows(outputs)
    for number, row in enumerate(together):
        (alone,) = trained.task.rows(
            trained.answer({name: values[number : number + 1] for name, values in columns.items()})
        )
        assert [(each["start"], each["end"]) for each in alone["n_best"]] == [
            (each["start"], each["end"]) for each in row["n_best"]
        ]
        assert (alone["start"], alone["end"]) == (row["start"], row["end"])
        assert alone["score"] == pytest.approx(row["score"], abs=1e-4)
    assert together[1]["start"] == -1 and together[1]["score"] == pytest.approx(1)  # nothing can be answered
    assert all(outputs[name].shape == (3,) for name in ("answer", "start", "end", "score"))
    assert all(outputs[name].shape == (3, N_BEST) for name in ("answers", "starts", "ends", "scores"))
    assert {outputs[name].dtype for name in ("start", "end", "starts", "ends")} == {np.dtype(np.int32)}
