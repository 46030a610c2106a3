"""Rows and configs of every task and form of split, for tests that hold all of them to the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasft.config.schema import Config

WORDS = "goal match team score coach bank market stock price trade the a of in and".split()
TEXT, PAIR = {"text": "text", "label": "label"}, {"text": "text", "text_pair": "pair"}
TAGS = {"tokens": "tokens", "tags": "tags"}
ANSWERS = {"question": "text", "context": "pair", "answers": "answers"}
# With this optimizer a step takes the gradient off the weights.
GRADIENT = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
GRADIENT |= {"warmup": 0, "clip_norm": None}
SLOW = {"optimizer": {**GRADIENT, "learning_rate": 0.1}}
DEVICE = tf.distribute.OneDeviceStrategy("/cpu:0")
TASKS = {
    "a label": ({"name": "text_classification"}, TEXT),
    "a label by the mean": ({"name": "text_classification", "pooling": "mean"}, TEXT),
    "a label of a pair": ({"name": "text_classification"}, {**PAIR, "label": "label"}),
    "several labels": ({"name": "text_classification", "problem": "multi_label"}, {"text": "text", "label": "labels"}),
    "a number": ({"name": "text_classification", "problem": "regression"}, {"text": "text", "label": "score"}),
    "tags": ({"name": "token_classification", "stride": 4}, TAGS),
    "tags of a chain": ({"name": "token_classification", "stride": 4, "crf": True}, TAGS),
    "a relation": ({"name": "relation_extraction"}, {"text": "marked", "label": "label"}),
    "answers": ({"name": "question_answering", "stride": 4, "max_question_length": 8}, ANSWERS),
    "pairs among others": ({"name": "text_embedding"}, PAIR),
    "scored pairs": ({"name": "text_embedding"}, {**PAIR, "label": "score"}),
    "hidden tokens": ({"name": "masked_lm", "packing": "none"}, {"text": "text"}),
}
CORPUS = {"text": "text"}
TURNS = {"messages": "messages"}
LINES = {"name": "text_generation", "packing": "none"}
DECODERS = {
    "a corpus": ({"name": "text_generation"}, CORPUS),
    "answers to prompts": ({**LINES, "mode": "prompt_completion"}, {"input": "text", "output": "pair"}),
    "dialogues": ({**LINES, "mode": "chat"}, TURNS),
    "outputs": ({"name": "seq2seq"}, {"input": "text", "output": "pair"}),
}
# One of each kind of split, of each form of its arrays.
ENCODERS = ("a label", "several labels", "a number", "tags", "answers", "pairs among others", "hidden tokens")
ALL = {name: TASKS[name] for name in ENCODERS} | DECODERS
SIZES = {"layers": 1, "heads": 1, "hidden": 8, "intermediate": 8}
GPT2, BART = {**SIZES, "family": "gpt2", "tokens": "characters"}, {**SIZES, "family": "bart"}


@pytest.fixture
def settings(tmp_path, tiny_preset):
    """Returns a function: a task and its columns -> a config on 21 rows of 1 to 18 words."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(21):
        tokens = [str(token) for token in random.choice(WORDS, random.integers(3, 18))]
        text, label = " ".join(tokens), "sport money".split()[i % 2]
        pair = " ".join(random.choice(WORDS, random.integers(1, 9)))
        rows.append(
            {
                "text": text, "pair": f"{pair} {i}", "label": label,
                "labels": [label, "all"][: 1 + i % 2], "score": i / 7.0,
                "tokens": tokens, "tags": ["B-" + label if token in WORDS[:7] else "O" for token in tokens],
                "marked": f"<e1>{tokens[0]}</e1> {tokens[1]} <e2>{tokens[2]}</e2> {pair}",
                "answers": [{"text": pair.split()[0], "start": 0}],
            }
        )  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make(task=None, columns=None, batching="pack", **training) -> Config:
        source = str(tmp_path / "rows.jsonl")
        return Config.model_validate(
            {
                "name": "t",
                "task": task or {"name": "text_classification"},
                "model": {"preset": str(tiny_preset), "max_length": 24, "dropout": 0.0},
                "data": {"train": source, "validation": source, "columns": columns or TEXT, "batching": batching},
                "training": {"batch_size": 8, "optimizer": GRADIENT, **training},
            }
        )

    return make


@pytest.fixture
def configured(settings):
    """Returns a function: one of the above -> a config on 21 rows; decoders are random ones without dropout."""

    def make(name: str, batching: str = "pack", **training) -> Config:
        config = settings(*ALL[name], batching, **training)
        if name in DECODERS:
            rows = [json.loads(line) for line in Path(config.data.train).read_text().splitlines()]
            for row in rows:
                turns = zip(("user", "assistant"), (row["pair"], row["text"]))
                row["messages"] = [{"role": role, "content": content} for role, content in turns]
            Path(config.data.train).write_text("".join(json.dumps(row) + "\n" for row in rows))
            architecture = BART if config.task.name == "seq2seq" else GPT2
            model = {"preset": None, "architecture": architecture, "max_length": 128, "dropout": 0.0}
            config = Config.model_validate(config.model_dump() | {"model": model})
        return config

    return make
