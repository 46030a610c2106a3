"""Text generation from plain text to a served model and to the next task, and what is refused."""

import json
import re
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
import yaml

from kerasft import evaluate, predict, train
from kerasft.config.schema import Config
from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.data.tables.table import Table
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.tasks.registry import create_task

SCRATCH = {"family": "gpt2", "layers": 1, "heads": 2, "hidden": 32, "intermediate": 64, "vocabulary_size": 290}


def lines(count: int, seed: int = 0) -> list[str]:
    """Each counts on from some letter: what comes next is what the alphabet has next."""
    starts = np.random.default_rng(seed).integers(0, 26, count)
    return ["".join(chr(97 + (start + step) % 26) for step in range(12)) for start in starts]


def settings(preset=None, task=None, training=None, **model) -> dict:
    return {
        "name": "tiny",
        "task": {"name": "text_generation", "decoding": {"max_new_tokens": 6}, "samples": 5, **(task or {})},
        "model": {"preset": None if preset is None else str(preset), "max_length": 16, "dropout": 0.0, **model},
        "data": {"train": "train.txt", "validation": 0.2, "test": "test.txt", "columns": {"text": "text"}},
        "training": {
            "steps": 60,
            "batch_size": 8,
            "optimizer": {"learning_rate": 3e-2, "weight_decay": 0.0},
            **(training or {}),
        },
    }


CHARACTERS = {"architecture": {**SCRATCH, "tokens": "characters"}}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("train.txt").write_text("".join(f"{line}\n\n" for line in lines(120)))
    Path("test.txt").write_text("".join(f"{line}\n" for line in lines(30, seed=1)))
    return tmp_path


@pytest.fixture(scope="session")
def decoder(tmp_path_factory) -> Path:
    """A random GPT-2 that reads letters, as a folder that any config can name."""
    from kerasft.models.presets.from_scratch import character_tokenizer
    from kerasft.models.presets.presets import save_preset

    keras.utils.set_random_seed(0)
    tokenizer = character_tokenizer(lambda: ["abc"], 400)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size(), num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        dropout=0.1, max_sequence_length=16,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("decoder")
    save_preset(backbone, tokenizer, str(folder))
    return folder


def write(config: dict, name: str = "config.yaml") -> str:
    Path(name).write_text(yaml.safe_dump(config))
    return name


def test_from_plain_text_to_a_model_that_goes_on(folder, capsys):
    assert train.main([write(settings(**CHARACTERS))]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "Perplexity" in said and "Bits per byte" in said and "saved_models/tiny/1" in said
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["perplexity"] == pytest.approx(np.exp(metrics["log_loss"]))
    assert metrics["tokens"] == 30 * 13  # each letter, and the end of each line
    bits = metrics["log_loss"] / np.log(2) * metrics["tokens"] / (30 * 12)
    assert metrics["bits_per_byte"] == pytest.approx(bits)
    assert metrics["perplexity"] < 2.5  # where a line begins is not to be known: 26 ** (1 / 13) is 1.28
    assert metrics["interval"]["low"] < metrics["perplexity"] < metrics["interval"]["high"]
    rows = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    assert len(rows) == 5 and all(set(row) == {"prompt", "truth", "text"} for row in rows)
    assert "Written texts" in Path("runs/tiny/report.html").read_text()

    assert evaluate.main(["runs/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["perplexity"] == metrics["perplexity"]

    asked = ["abc", "", "opqrs", "é\n", "yza"]
    Path("in.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in asked))
    answers = []
    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "in.jsonl", "--batch-size", "3"]) == 0
        answers.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert answers[0] == answers[1]
    assert [answers[0][row]["text"] for row in (0, 2, 4)] == ["defghi", "tuvwxy", "bcdefg"]
    assert [answers[0][row]["tokens"] for row in (0, 2, 4)] == [6] * 3


@pytest.mark.long
def test_sentence_pieces_go_on_in_a_run_and_in_an_export(folder, capsys):
    words = ["one", "two", "three", "four", "five", "six"]
    Path("train.txt").write_text("".join(f"{' '.join((words * 3)[i % 6 : i % 6 + 8])}\n" for i in range(120)))
    Path("test.txt").write_text("one two three four five six\n")
    model = {"architecture": {**SCRATCH, "tokens": "sentencepiece", "vocabulary_size": 300}}
    assert train.main([write(settings(training={"steps": 200}, **model))]) == 0, capsys.readouterr().err
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    bits = metrics["log_loss"] * metrics["tokens"] / np.log(2) / len("one two three four five six")
    assert metrics["bits_per_byte"] == pytest.approx(bits)
    capsys.readouterr()
    Path("in.txt").write_text("one two\none two \n two thr😀\n\n")
    answers = []
    for place in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([place, "--input", "in.txt", "--format", "txt"]) == 0
        answers.append([json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()])
    assert answers[0] == answers[1] and len(answers[0]) == 4 and answers[0][0].startswith(" three four five")


@pytest.mark.long
def test_a_run_from_scratch_is_the_same_twice_and_a_preset_for_another_task(folder, capsys):
    config = write(settings(training={"steps": 4}, architecture=SCRATCH) | {"export": {"enabled": False}})
    for name in ("tiny", "again"):
        assert train.main([config, f"name={name}"]) == 0, capsys.readouterr().err
    figures = [json.loads(Path(f"runs/{name}/metrics.json").read_text())["test"] for name in ("tiny", "again")]
    assert figures[0] == figures[1]
    one, other = (load_backbone(f"runs/{name}/model").get_weights() for name in ("tiny", "again"))
    for a, b in zip(one, other):
        np.testing.assert_array_equal(a, b)

    rows = [{"text": text, "label": str("abc" in text)} for text in lines(60, seed=2)]
    Path("labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = settings("run:runs/tiny") | {"name": "next", "task": {"name": "text_classification"}}
    task["data"] = {"train": "labelled.jsonl", "columns": {"text": "text", "label": "label"}}
    task |= {"training": {"epochs": 1}, "export": {"enabled": False}}
    assert train.main([write(task, "next.yaml")]) == 0, capsys.readouterr().err

    more = settings("run:runs/tiny", training={"steps": 1, "optimizer": {"learning_rate": 1e-9}})
    assert train.main([write(more, "more.yaml"), "name=more", "export.enabled=false"]) == 0
    more = json.loads(Path("runs/more/metrics.json").read_text())["test"]
    assert more["log_loss"] == pytest.approx(figures[0]["log_loss"], rel=1e-4)


def next_letters(rows: int, seed: int) -> list[dict]:
    """A word that says nothing, a letter, and the next three of the alphabet."""
    random = np.random.default_rng(seed)
    found = []
    for start in random.integers(0, 22, rows):
        letters = [chr(97 + start + place) for place in range(4)]
        found.append(
            {"what": str(random.choice(["on", "go"])), "from": letters[0], "to": [{"text": "".join(letters[1:])}]}
        )
    return found


def test_prompts_and_answers(folder, capsys):
    for split, rows in (("train", 300), ("test", 20)):
        Path(f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in next_letters(rows, len(split))))
    columns = {"instruction": "what", "input": "from", "output": "to"}
    task = {"mode": "prompt_completion", "template": "{instruction} {input}:"}
    config = settings(
        task=task, training={"steps": 150, "batch_size": 16, "optimizer": {"learning_rate": 1e-2}}, **CHARACTERS
    )
    config["data"] = {"train": "train.jsonl", "validation": 0.1, "test": "test.jsonl", "columns": columns}
    assert train.main([write(config)]) == 0, capsys.readouterr().err
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["tokens"] == 20 * 4 and metrics["perplexity"] < 1.5  # three letters and the end, no prompt
    rows = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    assert len(rows) == 20 and sum(row["text"] == row["truth"] for row in rows) >= 16
    assert metrics["exact_match"] == sum(row["text"] == row["truth"] for row in rows) / 20
    assert all(re.fullmatch("(on|go) [a-z]:", row["prompt"]) for row in rows)
    capsys.readouterr()
    asked = [{"what": "on", "from": "m"}, {"instruction": "go", "input": "c"}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "in.jsonl"]) == 0
        assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == ["nop", "def"]


def test_a_preset_is_measured_and_asked_before_training(folder, decoder, capsys):
    config = write(settings(decoder))
    assert evaluate.main([config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == 30 * 13
    assert predict.main([config, "--input", "test.txt"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 30


ANSWERS = {"name": "text_generation", "mode": "prompt_completion", "decoding": {"max_new_tokens": 4}}
ROWS = {"train": "rows.jsonl", "columns": {"input": "i", "output": "o"}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": {"preset": None, "architecture": {**SCRATCH, "family": "bert"}}}, "a bert does not write texts"),
        ({"model": {"preset": None, "architecture": {**SCRATCH, "lowercase": True}}}, "lowercase: true is for bert"),
        (
            {"model": {"preset": None, "architecture": {**SCRATCH, "family": "bert", "tokens": "characters"}}},
            "tokens: characters is for gpt2",
        ),
        ({"task": {"name": "text_generation"}}, "task.decoding.max_new_tokens: 64 leaves no room for a prompt"),
        (
            {"task": {"name": "text_generation", "decoding": {"max_new_tokens": 4, "stop": [""]}}},
            "task.decoding.stop.0",
        ),
        (
            {"task": {"name": "text_generation", "decoding": {"max_new_tokens": 4, "beams": 2, "temperature": 0.5}}},
            "task.decoding.beams: 2 beams search for the likeliest answer and draw nothing; remove temperature",
        ),
        (
            {"task": {"name": "text_generation", "decoding": {"max_new_tokens": 4, "length_penalty": 0.5}}},
            "task.decoding.length_penalty is for beams",
        ),
        ({"task": {"name": "text_generation", "template": "{input}"}}, "task.template is for mode prompt_completion"),
        (
            {"task": {"name": "text_generation", "mode": "prompt_completion", "packing": "documents"}},
            "packing: documents is for mode corpus",
        ),
        (
            {"task": ANSWERS, "data": {"train": "rows.jsonl", "columns": {"output": "o"}}},
            "data.columns: a prompt is made of instruction or input",
        ),
        (
            {"task": ANSWERS | {"template": "{text}"}, "data": ROWS},
            "task.template: {text} is none of the columns' roles; it can hold {input}",
        ),
        ({"task": ANSWERS, "data": ROWS}, "rows.jsonl:2: column 'o' is []; a text is needed"),
        ({"training": {"label_smoothing": 0.1}}, "training.label_smoothing: not for task text_generation"),
        ({"training": {"early_stopping": {"metric": "f1"}}}, "there are: accuracy, perplexity, log_loss, bits_per"),
        ({"data": {"train": "blank.txt", "columns": {"text": "text"}}}, "data.train: every text is empty"),
        (
            {"data": {"train": "blank.txt", "format": "document", "columns": {"text": "text"}}},
            "blank.txt: empty: there is no example in it",
        ),
        ({"model": {"preset": "bert"}}, "with GPT-2, Llama and Mistral models here, not with a BertBackbone"),
        (
            {"model": {"preset": None, "architecture": {**SCRATCH, "vocabulary_size": 200}, "max_length": 16}},
            "vocabulary_size: 200 is less than the 258 tokens that the 256 bytes",
        ),
    ],
)
def test_mistakes_are_one_line(folder, decoder, tiny_preset, capsys, change, expected):
    Path("blank.txt").write_text("\n \n" * 9)
    Path("rows.jsonl").write_text('{"i": "a", "o": ["b", "c"]}\n{"i": "a", "o": []}\n')
    if change.get("model", {}).get("preset") == "bert":
        change = {"model": {"preset": str(tiny_preset), "max_length": 16}}
    config = {**settings(decoder), **change}
    config["model"] = {"max_length": 16, **config["model"]}
    assert train.main([write(config)]) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert expected in error and all(line.startswith("data: ") for line in before)
    assert not Path("runs").exists()


def parts(decoder, training=None) -> tuple:
    made = create_task(Config.model_validate(settings(decoder, training=training)))
    backbone = load_backbone(str(decoder), dropout=0.0)
    preprocessor = made.preprocessor(backbone, load_tokenizer(str(decoder)))
    rows = [{"text": text, "where": ""} for text in lines(30)]
    return made, backbone, made.prepare(Table.from_rows(rows, made.schema()), preprocessor, weighted=True)


def test_an_evaluation_measures_what_training_minimises(decoder, mirrored):
    task, backbone, prepared = parts(decoder)
    model = task.build(backbone)
    kept = Evaluator(model, tf.distribute.OneDeviceStrategy("/cpu:0"), 5, task.condense).logits(prepared)
    features, targets, weights = prepared.batch(np.arange(len(prepared)))
    logits = model(features).numpy()
    real = targets != NO_TARGET
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(np.maximum(targets, 0), logits).numpy()
    metrics = task.metrics(prepared, kept)
    assert metrics["log_loss"] == pytest.approx(losses[real].mean(), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx((logits.argmax(-1) == targets)[real].mean())
    assert metrics["tokens"] == real.sum() == weights.sum() == 30 * 13
    mean = float(np.sum(task.loss(tf.constant(targets), tf.constant(logits)) * weights) / weights.sum())
    assert mean == pytest.approx(metrics["log_loss"], rel=1e-5)

    with mirrored.scope():
        twin = task.build(load_backbone(str(decoder), dropout=0.0))
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(Evaluator(twin, mirrored, 4, task.condense).logits(prepared), kept, atol=1e-5)


def test_the_output_layer_is_the_embedding(decoder):
    task, backbone, _ = parts(decoder)
    model = task.build(backbone)
    assert [id(weight) for weight in model.weights] == [id(weight) for weight in backbone.weights]
    hidden = backbone({"token_ids": np.array([[5, 6]]), "padding_mask": np.ones((1, 2))})
    table = backbone.token_embedding.embeddings.numpy()
    logits = model({"token_ids": np.array([[5, 6]]), "padding_mask": np.ones((1, 2))})
    np.testing.assert_allclose(logits, hidden.numpy() @ table.T, rtol=1e-4, atol=1e-5)


def test_bfloat16_gives_float32_logits(decoder):
    task, _, _ = parts(decoder)
    model = task.build(load_backbone(str(decoder), dtype="mixed_bfloat16"))
    assert model({"token_ids": np.array([[5, 6]]), "padding_mask": np.ones((1, 2))}).dtype == "float32"
