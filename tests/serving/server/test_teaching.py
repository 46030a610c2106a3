"""A model on a server as a teacher."""

import json

import numpy as np
import pytest
from tiny_models import LABELS, make_tiny

from kerasft.config.load import read_config
from kerasft.console.terminal import Silent
from kerasft.data.splits import load_splits
from kerasft.errors import StorageError, UserError
from kerasft.inference.served_teacher import served_teacher
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.server_teacher import ServerTeacher

TEXTS = ["goal match", "bank stock price of the team", "trade"]


@pytest.fixture
def student(tmp_path):
    """Returns a function: the teacher's address and task -> the student's config."""
    rows = [{"text": text, "pair": text, "label": label} for text, label in zip(TEXTS, LABELS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make(address: str, columns=None, **task):
        file = str(tmp_path / "rows.jsonl")
        return read_config(
            {
                "name": "student",
                "task": {"name": "text_classification", **task},
                "model": {"preset": "preset"},
                "data": {"train": file, "validation": file, "columns": columns or {"text": "text", "label": "label"}},
                "training": {"objective": {"name": "distillation", "teacher": address}},
            }
        )

    return make


def test_it_is_asked_about_every_row_in_order_and_teaches_its_logits(running, student, tiny_preset):
    config = student(f"http://127.0.0.1:{running.server.rest_port}/v1/models/single_label", labels=LABELS)
    task = create_task(config)
    tables = load_splits(config, task)
    server = served_teacher(config, task, Silent())
    assert server is not None
    teacher = ServerTeacher(server, task)
    teacher.table = tables["train"]
    found = teacher(None)
    own, preprocessor, model = make_tiny(tiny_preset, "single_label")
    logits = model(own.prepare(tables["train"], preprocessor).batch(np.arange(3))[0]).numpy()
    np.testing.assert_allclose(found, logits - np.log(np.exp(logits).sum(-1, keepdims=True)), atol=1e-5)


def test_what_is_wrong_with_it_is_told_by_the_key_before_a_model_is_loaded(running, student):
    address = f"http://127.0.0.1:{running.server.rest_port}/v1/models"
    key = "training.objective.teacher: http://127.0.0.1"

    def asked(*arguments, **options):
        config = student(*arguments, **options)
        served_teacher(config, create_task(config), Silent())

    with pytest.raises(UserError, match=f"{key}.*NOT_FOUND"):
        asked(f"{address}/none")
    with pytest.raises((UserError, StorageError), match=key):
        asked("http://127.0.0.1:1/v1/models/single_label")
    pairs = {"text": "text", "text_pair": "pair", "label": "label"}
    with pytest.raises(UserError, match="asks for text, and a row of text_classification here has text, text_pair"):
        asked(f"{address}/single_label", pairs)
