"""Seq2seq from pairs of texts to a served model; its loss token by token; what is refused."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from support.rarely import rarely
from tiny_bart import POSITIONS, TEXTS, make_bart
from tiny_t5 import make_t5

from kerasft import evaluate, predict, train
from kerasft.config.schema import Config
from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.data.tables.table import Table
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.presets.presets import save_preset
from kerasft.tasks.registry import create_task

WORDS = dict(zip("one two three four".split(), "一 二 三 四".split()))
SCRATCH = {"family": "bart", "layers": 1, "heads": 2, "hidden": 16, "intermediate": 32, "vocabulary_size": 290}


def settings(task=None, model=None, data=None, training=None) -> dict:
    return {
        "name": "tiny",
        "task": {
            "name": "seq2seq", "decoding": {"max_new_tokens": 8}, "samples": 3, "measured_answers": 6, **(task or {}),
        },
        "model": {"preset": None, "architecture": SCRATCH, "max_length": 12, "dropout": 0.0, **(model or {})},
        "data": {
            **{split: f"{split}.jsonl" for split in ("train", "validation", "test")},
            "columns": {"input": "english", "output": "chinese"},
            **(data or {}),
        },
        "training": {
            "steps": 150, "batch_size": 8, "evaluate_every": 50,
            "optimizer": {"learning_rate": 1e-2, "weight_decay": 0.0}, **(training or {}),
        },
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [{"english": english, "chinese": chinese} for english, chinese in WORDS.items()]
    for split, times in (("train", 10), ("validation", 2), ("test", 2)):
        Path(f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * times))
    return tmp_path


def write(config: dict) -> str:
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return "config.yaml"


def test_from_pairs_of_texts_to_a_model_that_translates(folder, capsys):
    assert train.main([write(settings({"max_output_length": 10}))]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "Perplexity" in said and "input itself" in said and "saved_models/tiny/1" in said
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["perplexity"] < 1.1 and metrics["exact_match"] == 1.0 and metrics["answers"] == 6
    assert "tok:zh" in metrics["bleu_signature"] and metrics["chrf"] == pytest.approx(100)
    assert metrics["copy_baseline"]["exact_match"] == 0.0 == metrics["copy_baseline"]["chrf"]
    rows = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    assert len(rows) == 6 and all(WORDS[row["input"]] == row["truth"] == row["text"] for row in rows)
    report = Path("runs/tiny/report.html").read_text()
    assert "Beside copies of the input" in report and "Loss by training step" in report and "tok:zh" in report
    assert "model.max_length 12" in report and "task.max_output_length 10" in report  # beside inputs, and outputs

    assert evaluate.main(["runs/tiny", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {name: again[name] for name in ("perplexity", "bleu", "copy_baseline")} == {
        name: metrics[name] for name in ("perplexity", "bleu", "copy_baseline")
    }
    Path("in.txt").write_text("three\none\n")
    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "in.txt"]) == 0
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [answer["text"] for answer in answers] == ["三", "一"]


@pytest.mark.parametrize("start", rarely("t5", "sentencepiece"))
def test_sentence_pieces_are_learnt_and_served(folder, capsys, start):
    """What is written has no space before it, in a run and in an export of it."""
    model = {"architecture": {**SCRATCH, "tokens": "sentencepiece", "vocabulary_size": 400}}
    if start == "t5":
        keras.utils.set_random_seed(0)
        save_preset(*make_t5(False, False, [*WORDS, *WORDS.values()]), "t5")
        model = {"architecture": None, "preset": "t5"}
    assert train.main([write(settings(model=model, training={"steps": 300}))]) == 0, capsys.readouterr().err
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["perplexity"] < 1.3 and metrics["exact_match"] == 1.0
    capsys.readouterr()
    Path("in.txt").write_text("three\none\n")
    for place in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([place, "--input", "in.txt"]) == 0
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [answer["text"] for answer in answers] == ["三", "一"]


def parts(**changes) -> tuple:
    backbone, tokenizer = make_bart()
    changes = {"max_length": POSITIONS, "preset": "bart", "architecture": None}
    task = create_task(Config.model_validate(settings(model=changes)))
    pairs = zip(TEXTS, reversed(TEXTS))
    rows = [{"input": one, "output": other, "where": ""} for one, other in pairs]
    preprocessor = task.preprocessor(backbone, tokenizer)
    return task, task.build(backbone), task.prepare(Table.from_rows(rows, task.schema()), preprocessor)


def test_the_loss_is_over_outputs_alone():
    task, model, split = parts()
    features, targets, weights = split.batch(np.arange(3))
    logits = model(features).numpy()
    said = features["decoder_token_ids"][:, 1:]
    for row, (target, ids) in enumerate(zip(targets, said)):
        count = split.lengths[row]
        # Two tokens begin an output, and neither is to be said; then each says what is read after it.
        assert target[0] == NO_TARGET and target[1 : count - 1].tolist() == ids[1 : count - 1].tolist()
        assert (target[count:] == NO_TARGET).all() and weights[row] == count - 1
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(np.maximum(targets, 0), logits).numpy()
    real = targets != NO_TARGET
    mean = float(np.sum(task.loss(tf.constant(targets), tf.constant(logits)) * weights) / weights.sum())
    assert mean == pytest.approx(each[real].mean(), rel=1e-5)
    evaluator = Evaluator(model, tf.distribute.OneDeviceStrategy("/cpu:0"), 2, task.condense)
    kept = evaluator.logits(split)
    assert task.metrics(split, kept)["log_loss"] == pytest.approx(mean, rel=1e-4)


def test_nothing_in_an_output_is_known_before_it_is_said():
    _, model, split = parts()
    features, _, _ = split.batch(np.arange(3))
    before = model(features).numpy()
    features["decoder_token_ids"][:, 5:] = 9
    assert np.abs(model(features).numpy() - before)[:, :5].max() < 1e-5
    features["encoder_token_ids"][:, 1] = 9
    assert np.abs(model(features).numpy() - before)[:, 0].max() > 1e-2


REFUSED = [
    ({"model": {"architecture": {**SCRATCH, "family": "gpt2"}}}, "seq2seq does not start from a gpt2; set it to bart"),
    ({"data": {"batching": "pack"}}, "data.batching: pack is for models that read one text"),
    ({"data": {"columns": {"output": "chinese"}}}, "data.columns: a prompt is made of instruction or input"),
    ({"task": {"decoding": {"max_new_tokens": 12}}}, "max_new_tokens: 12 have no room in the 12 tokens of an output"),
    ({"task": {"template": "Translate."}}, "task.template: {input} is not in it"),
    ({"model": {"architecture": {**SCRATCH, "positions": 12}}, "task": {"max_output_length": 20}}, "positions: 12"),
    ({"training": {"class_weights": "balanced"}}, "training.class_weights: not for task seq2seq"),
    ({"model": {"architecture": None, "preset": "encoder"}}, "seq2seq takes BART and T5 models, not a BertBackbone"),
]


@pytest.mark.parametrize(("change", "expected"), REFUSED)
def test_mistakes_are_one_line(folder, tiny_preset, capsys, change, expected):
    config = settings(**change)
    if config["model"]["preset"]:
        config["model"]["preset"] = str(tiny_preset)
    assert train.main([write(config)]) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert not Path("runs").exists()


def test_an_encoder_with_a_decoder_is_for_its_task_alone(folder, capsys):
    config = settings() | {"task": {"name": "text_generation", "decoding": {"max_new_tokens": 4}}}
    assert train.main([write(config)]) == 2
    assert "text_generation does not start from a bart; set it to bert or gpt2" in capsys.readouterr().err
