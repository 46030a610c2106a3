"""Masked language modelling from plain text to a served model and to the next task, and what is refused."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from kerasft import evaluate, predict, train
from kerasft.config.schema import Config
from kerasft.data.batching.dataset import distribute
from kerasft.data.batching.epochs import Epochs
from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.tasks.registry import create_task

WORDS = "goal match team coach bank market price stock".split()


def texts(rows: int, seed: int = 0) -> list[str]:
    """Each says one word over and over: what is hidden is what stands around it."""
    random = np.random.default_rng(seed)
    return [" ".join([str(random.choice(WORDS))] * random.integers(4, 13)) for _ in range(rows)]


def settings(preset=None, task=None, training=None, **model) -> dict:
    return {
        "name": "tiny",
        "task": {"name": "masked_lm", **(task or {})},
        "model": {"preset": None if preset is None else str(preset), "max_length": 16, "dropout": 0.0, **model},
        "data": {"train": "train.txt", "validation": 0.25, "test": "test.txt", "columns": {"text": "text"}},
        "training": {
            "epochs": 24,
            "batch_size": 8,
            "optimizer": {"learning_rate": 2e-2, "weight_decay": 0.0},
            **(training or {}),
        },
    }


SCRATCH = {"family": "bert", "layers": 1, "heads": 2, "hidden": 16, "intermediate": 32, "vocabulary_size": 90}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("train.txt").write_text("".join(f"{text}\n\n" for text in texts(120)))
    Path("test.txt").write_text("".join(f"{text}\n" for text in texts(40, seed=1)))
    return tmp_path


def write(config: dict, name: str = "config.yaml") -> str:
    Path(name).write_text(yaml.safe_dump(config))
    return name


def test_full_rows_are_not_packed_again():
    made = settings("x")
    made["data"]["batching"] = "pack"
    with pytest.raises(UserError, match="data.batching: pack, but task.packing: documents .* set batching to auto"):
        create_task(Config.model_validate(made)).check_config()
    made["task"]["packing"] = "none"
    create_task(Config.model_validate(made)).check_config()


def test_from_plain_text_to_filled_blanks(folder, tiny_preset, capsys):
    task = {"whole_word": True, "packing": "none", "top": 3}
    assert train.main([write(settings(tiny_preset, task))]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "Perplexity" in said and "saved_models/tiny/1" in said and "[MASK]" in said
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["perplexity"] == pytest.approx(np.exp(metrics["log_loss"]))
    assert metrics["perplexity"] < 4 and metrics["accuracy"] > 0.7  # 8 words alike would be 8 and 0.125
    assert metrics["interval"]["low"] < metrics["perplexity"] < metrics["interval"]["high"]
    rows = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    assert len(rows) == metrics["rows"] and sum(len(row["masks"]) for row in rows) == metrics["masked_tokens"]
    right = [mask["fills"][0]["token"] == mask["truth"] for row in rows for mask in row["masks"]]
    assert np.mean(right) == pytest.approx(metrics["accuracy"])
    assert "Masked texts" in Path("runs/tiny/report.html").read_text()

    assert evaluate.main(["runs/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["perplexity"] == metrics["perplexity"]

    asked = ["goal goal [MASK] goal", "no blank", "bank [MASK] bank [MASK] bank", "", "[mask] [MASK]"]
    Path("in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in asked))
    answers = []
    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "in.jsonl", "--batch-size", "3"]) == 0
        answers.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    for row, served, text in zip(*answers, asked):
        assert row["text"] == served["text"] == text and len(row["masks"]) == text.count("[MASK]")
        for mine, theirs in zip(row["masks"], served["masks"]):
            assert [fill["token"] for fill in mine["fills"]] == [fill["token"] for fill in theirs["fills"]]
            scores = [[fill["score"] for fill in mask["fills"]] for mask in (mine, theirs)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4) and sorted(scores[0], reverse=True) == scores[0]
            assert len(scores[0]) == 3
    filled = [mask["fills"][0]["token"] for row in answers[0][:3] for mask in row["masks"]]
    assert filled == ["goal", "bank", "bank"]


@pytest.mark.long
def test_a_run_from_scratch_is_a_preset_for_another_task(folder, capsys):
    small = {"epochs": 1}
    config = write(settings(training=small, architecture=SCRATCH))
    assert train.main([config]) == 0, capsys.readouterr().err
    assert train.main([config, "name=again", "export.enabled=false"]) == 0
    one, other = (Path(f"runs/{name}/model") for name in ("tiny", "again"))
    assert (one / "assets/tokenizer/vocabulary.txt").read_bytes() == (
        other / "assets/tokenizer/vocabulary.txt"
    ).read_bytes()
    figures = [json.loads(Path(f"runs/{name}/metrics.json").read_text())["test"] for name in ("tiny", "again")]
    assert figures[0] == figures[1]

    rows = [{"text": text, "label": str("goal" in text)} for text in texts(60, seed=2)]
    Path("labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = settings("run:runs/tiny") | {"name": "next", "task": {"name": "text_classification"}}
    task["data"] = {"train": "labelled.jsonl", "columns": {"text": "text", "label": "label"}}
    task["training"] = small
    assert train.main([write(task, "next.yaml")]) == 0, capsys.readouterr().err
    start = [load_backbone(str(one)), load_backbone(str(other))]
    for a, b in zip(*(model.get_weights() for model in start)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.long
def test_a_masked_lm_goes_on_from_a_run_of_its_own(folder, tiny_preset, capsys):
    config = write(settings(tiny_preset, training={"epochs": 6}))
    assert train.main([config, "export.enabled=false"]) == 0, capsys.readouterr().err
    more = ["name=more", "model.preset=run:runs/tiny", "export.enabled=false", "training.epochs=null"]
    assert train.main([config, *more, "training.steps=1", "training.optimizer.learning_rate=1e-9"]) == 0
    figures = [json.loads(Path(f"runs/{name}/metrics.json").read_text())["test"] for name in ("tiny", "more")]
    assert figures[0]["log_loss"] == pytest.approx(figures[1]["log_loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": {"preset": None}}, "model: preset and architecture are both null"),
        ({"model": {"preset": "x", "architecture": SCRATCH}}, "model: preset and architecture are both set"),
        ({"model": {"preset": None, "architecture": {**SCRATCH, "family": "gpt2"}}}, "family: a gpt2 has no mask"),
        ({"model": {"preset": None, "architecture": {**SCRATCH, "heads": 3}}}, "does not divide over 3 heads"),
        (
            {"model": {"preset": None, "architecture": {**SCRATCH, "positions": 8}, "max_length": 16}},
            "positions: 8 is less than max_len",
        ),
        ({"task": {"name": "masked_lm", "mask_probability": 1.5}}, "task.mask_probability"),
        ({"training": {"label_smoothing": 0.1}}, "training.label_smoothing: not for task masked_lm"),
        ({"training": {"early_stopping": {"metric": "f1"}}}, "there are: accuracy, top_5_accuracy, perplexity"),
        ({"data": {"train": "blank.txt", "columns": {"text": "text"}}}, "data.train: every text is empty"),
        ({"data": {"train": "rows.jsonl", "columns": {"text": "text"}}}, "rows.jsonl:2: column 'text' is None"),
        (
            {"model": {"preset": None, "architecture": {**SCRATCH, "vocabulary_size": 32}}},
            "vocabulary_size: 32 is less",
        ),
    ],
)
def test_mistakes_are_one_line(folder, tiny_preset, capsys, change, expected):
    Path("blank.txt").write_text("\n \n" * 9)
    Path("rows.jsonl").write_text('{"text": "a"}\n{"text": null}\n')
    assert train.main([write({**settings(tiny_preset), **change})]) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert expected in error and all(line.startswith("data: ") for line in before)
    assert not Path("runs").exists()


def parts(tiny_preset, task=None, training=None) -> tuple:
    made = create_task(Config.model_validate(settings(tiny_preset, task, training)))
    backbone = load_backbone(str(tiny_preset), dropout=0.0)
    preprocessor = made.preprocessor(backbone, load_tokenizer(str(tiny_preset)))
    rows = [{"text": text, "where": ""} for text in texts(30)]
    return made, backbone, made.prepare(Table.from_rows(rows, made.schema()), preprocessor), preprocessor


def test_rows_hold_the_tokens_of_the_texts_in_order(tiny_preset):
    task, _, prepared, preprocessor = parts(tiny_preset)
    ids, _, counts = (value.numpy() for value in preprocessor.tokens(tf.constant(texts(30))))
    special = set(np.flatnonzero(~preprocessor.vocabulary.ordinary))
    assert [token for token in prepared.features["token_ids"] if token not in special] == ids.tolist()
    assert (prepared.lengths[:-1] >= 15).all() and prepared.lengths.max() == 16
    assert prepared.full_lengths.tolist() == (counts + 2).tolist() and prepared.truncated == 0
    starts = prepared.features["token_ids"][prepared.offsets[:-1]]
    assert set(starts) == {preprocessor.layout.start[0]}


def test_a_batch_hides_tokens_and_says_what_they_were(tiny_preset):
    _, _, prepared, preprocessor = parts(tiny_preset)
    chosen = np.array([3, 0, -1])
    whole = [prepared.features["token_ids"][prepared.offsets[r] : prepared.offsets[r + 1]] for r in (3, 0)]
    features, targets, weights = prepared.at_step(5).batch(chosen)
    for row, tokens in enumerate(whole):
        real = targets[row] != NO_TARGET
        restored = features["token_ids"][row].copy()
        restored[features["mask_positions"][row][real]] = targets[row][real]
        np.testing.assert_array_equal(restored[: len(tokens)], tokens)
        assert weights[row] == real.sum()
    assert weights[2] == 0 and (targets[2] == NO_TARGET).all()
    assert prepared.at_step(5).batch(chosen, static=True)[1].shape == (3, prepared.masking.most(16))
    widths = {prepared.batch(np.array([row]))[1].shape[1] for row in range(len(prepared))}
    assert len(widths) == 1  # the same for every batch that is measured


def test_what_is_hidden_depends_on_the_step_and_the_row_alone(tiny_preset):
    _, _, prepared, _ = parts(tiny_preset)
    alone, among = np.array([4]), np.array([0, 7, 4])
    one, other = (prepared.at_step(3).batch(rows)[0]["token_ids"][-1] for rows in (alone, among))
    np.testing.assert_array_equal(one, other[: len(one)])
    assert (prepared.at_step(4).batch(alone)[0]["token_ids"] != prepared.at_step(3).batch(alone)[0]["token_ids"]).any()
    np.testing.assert_array_equal(prepared.batch(alone)[0]["token_ids"], prepared.batch(alone)[0]["token_ids"])


def test_a_later_first_step_is_the_same_stream_cut_off(tiny_preset):
    _, _, prepared, _ = parts(tiny_preset)
    device = tf.distribute.OneDeviceStrategy("/cpu:0")

    def stream(first: int) -> list:
        plan = lambda: Epochs(prepared.lengths, 8, "bucket", 0).from_step(first)  # noqa: E731
        dataset = distribute(prepared, plan, device, first_step=first)
        return [tf.nest.flatten(batch) for batch, _ in zip(dataset, range(9 - first))]

    for whole, resumed in zip(stream(0)[4:], stream(4)):
        for a, b in zip(whole, resumed):
            np.testing.assert_array_equal(a, b)


def test_an_evaluation_keeps_what_is_measured_under_every_strategy(tiny_preset, mirrored):
    task, backbone, prepared, _ = parts(tiny_preset)
    model = task.build(backbone)
    kept = Evaluator(model, tf.distribute.OneDeviceStrategy("/cpu:0"), 5, task.condense).logits(prepared)
    features, targets, weights = prepared.batch(np.arange(len(prepared)))
    logits = model(features).numpy()
    real = targets != NO_TARGET
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(np.maximum(targets, 0), logits).numpy()
    metrics = task.metrics(prepared, kept)
    assert metrics["log_loss"] == pytest.approx(losses[real].mean(), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx((logits.argmax(-1) == targets)[real].mean())
    assert metrics["masked_tokens"] == real.sum() == weights.sum()
    mean = float(np.sum(task.loss(tf.constant(targets), tf.constant(logits)) * weights) / weights.sum())
    assert mean == pytest.approx(metrics["log_loss"], rel=1e-5)  # training and measurement are about the same thing

    keras.utils.set_random_seed(0)
    with mirrored.scope():
        task, backbone, _, _ = parts(tiny_preset)
        twin = task.build(backbone)
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(
        Evaluator(twin, mirrored, 4, task.condense).logits(prepared)[..., 0], kept[..., 0], atol=1e-5
    )


def test_a_tokenizer_without_a_mask_is_refused():
    import keras_hub

    from kerasft.models.tokenizers.vocabulary import Vocabulary

    vocabulary = {"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}
    with pytest.raises(UserError, match="GPT2Tokenizer has no mask token"):
        Vocabulary(keras_hub.models.GPT2Tokenizer(vocabulary, ["a b"]))
