"""Tiny exports of every task: `python tests/support/tiny_models.py FOLDER` writes them for another server."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from tiny_bart import make_bart

from kerasft.config.schema import Config
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.serving.exporter import save
from kerasft.serving.sample_requests import requests
from kerasft.serving.warm_up import request, write
from kerasft.tasks.registry import create_task

LABELS = ["sport", "trade", "two\nlines"]
QA = {"question": "question", "context": "context", "answers": "answers"}
# Name of the export -> its task, columns and state.
TASKS = {
    "single_label": ({"name": "text_classification"}, {"text": "t", "label": "l"}, {"labels": LABELS}),
    "multi_label": (
        {"name": "text_classification", "problem": "multi_label"},
        {"text": "t", "label": "l"},
        {"labels": LABELS, "thresholds": [0.5] * 3},
    ),
    "regression": (
        {"name": "text_classification", "problem": "regression"},
        {"text": "t", "text_pair": "u", "label": "l"},
        {"mean": 2.0, "deviation": 1.0},
    ),
    "token_classification": (
        {"name": "token_classification", "stride": 8},
        {"tokens": "tokens", "tags": "tags"},
        {"labels": ["person", "place"]},
    ),
    "question_answering": (
        {"name": "question_answering", "max_question_length": 12, "stride": 8, "n_best": 2},
        QA,
        {"no_answer": False},
    ),
    "relation_extraction": (
        {"name": "relation_extraction", "no_relation": "Other"},
        {"text": "text", "label": "label"},
        {"labels": ["Beats(e1,e2)", "Beats(e2,e1)", "Other"]},
    ),
    "masked_lm": ({"name": "masked_lm"}, {"text": "text"}, {}),
    "text_embedding": ({"name": "text_embedding", "objective": "contrastive"}, {"text": "t", "positive": "p"}, {}),
    "seq2seq": (
        {"name": "seq2seq", "decoding": {"max_new_tokens": 6}}, {"input": "text", "output": "answer"}, {},
    ),
}  # fmt: skip


def make_task(name: str, preset: Path):
    """The task of an export, and what says how it is made again."""
    task, columns, state = TASKS[name]
    config = Config.model_validate(
        {
            "name": name,
            "task": task,
            "model": {"preset": str(preset), "max_length": 32},
            "data": {"train": "train.jsonl", "columns": columns},
        }
    )
    return create_task(config, state)


def make_tiny(preset: Path, name: str, seed: int = 0):
    """A tiny random model: (task, preprocessor, model)."""
    made = make_task(name, preset)
    keras.utils.set_random_seed(seed)
    if made.encoder_decoder:
        backbone, tokenizer = make_bart(32)
        return made, made.preprocessor(backbone, tokenizer), made.build(backbone)
    backbone, tokenizer = made.adapt(load_backbone(str(preset)), load_tokenizer(str(preset)))
    model = made.build(backbone)
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(0, 0.3, weight.shape) for weight in model.weights])
    return made, made.preprocessor(backbone, tokenizer), model


def export_tiny(preset: Path, name: str, folder: Path, seed: int = 0) -> Path:
    """A version of a tiny random model with all that a server reads, but without the check of an export."""
    made, preprocessor, model = make_tiny(preset, name, seed)
    save(made, preprocessor, model, folder)
    short, long = requests(made.sample(), 32)
    write(folder, [request(name, "serving_default", columns) for columns in (short, long)])
    labels = made.state.get("labels")
    config = made.config.model_dump(mode="json")
    facts = {"config": config, "task": config["task"], "state": made.state, "labels": labels, "max_length": 32}
    (folder / "assets.extra" / "kerasft.json").write_text(json.dumps(facts))
    return folder


def write_all(preset: Path, folder: Path) -> None:
    """Every task's export, and a models.config that serves them from there."""
    for name in TASKS:
        export_tiny(preset, name, folder / name / "1")
    entries = [
        f'  config {{ name: "{name}" base_path: "{folder.absolute() / name}" model_platform: "tensorflow" }}\n'
        for name in TASKS
    ]
    (folder / "models.config").write_text("model_config_list {\n" + "".join(entries) + "}\n")


if __name__ == "__main__":
    from support.tiny_bert import make_tiny_preset

    write_all(make_tiny_preset(Path(sys.argv[1]) / "preset"), Path(sys.argv[1]))
