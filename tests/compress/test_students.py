"""What a student's config has of its teacher's, and which rows both are compared on."""

import pytest
from support.projects import make_project

from kerasft.compress.compression import _score, same_rows
from kerasft.compress.distil import student_config
from kerasft.config.compress import DistilConfig
from kerasft.config.load import load_config
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

FITTED = {"fit_head": True, "steps": 0, "epochs": None}


@pytest.fixture
def teacher(tmp_path, tiny_preset, monkeypatch):
    """Returns a function: shots of a fitted head -> the run, which was never trained."""
    monkeypatch.chdir(tmp_path)

    def make(shots: int, **sections) -> Run:
        data = {"shots": shots, "draws": 3, "validation": "leave_one_out"}
        make_project(tmp_path, tiny_preset, data=data, training=FITTED, **sections)
        return Run(tmp_path / "runs" / "tiny", load_config(tmp_path / "config.yaml", []))

    return make


def settings(**keys) -> DistilConfig:
    return DistilConfig(method="distil", name="student", layers=1, **keys)


def test_a_student_of_a_fitted_head_takes_steps_and_a_quarter_validates_it(teacher):
    config = student_config(teacher(8), settings(unlabelled="more.txt"), [])
    training, data = config.training, config.data
    assert (training.fit_head, training.steps, training.epochs) == (False, None, 3)
    assert (data.shots, data.draws, data.validation) == (8, 1, 0.25)
    assert training.objective.unlabelled == "more.txt"
    config = student_config(teacher(8), settings(), ["training.epochs=9", "data.validation=other.jsonl"])
    assert config.training.epochs == 9 and config.data.validation == "other.jsonl"


def test_it_reads_the_vectors_that_its_teacher_reads(teacher):
    labels = {"labels": ["sport", "money"], "label_texts": {"sport": "goal match"}}
    parent = teacher(8, prompting={"method": "embedding"}, task=labels)
    config = student_config(parent, settings(), [])
    assert config.prompting is None and config.task.pooling == "unit" and config.task.label_texts is None


def test_too_few_rows_to_validate_on_ask_for_a_file(teacher):
    with pytest.raises(UserError, match="data.validation: 3 rows of a label leave none .* data.validation=FILE"):
        student_config(teacher(3), settings(), [])
    assert student_config(teacher(3), settings(), ["data.validation=x.jsonl"]).data.validation == "x.jsonl"


def test_rows_that_only_one_of_both_has_are_not_compared(teacher, tmp_path):
    parent = teacher(8)
    own = load_splits(parent.config, create_task(parent.config))
    config = student_config(parent, settings(), [])
    assert set(same_rows(own, load_splits(config, create_task(config)))) == {"train", "test"}
    lines = (tmp_path / "test.jsonl").read_text().splitlines()
    (tmp_path / "other.jsonl").write_text("\n".join(lines[1:]) + "\n")
    config = student_config(parent, settings(), ["data.test=other.jsonl"])
    assert set(same_rows(own, load_splits(config, create_task(config)))) == {"train"}


def test_of_several_draws_the_model_is_the_first():
    figures = {"test": {"accuracy": 0.9, "accuracy_by_draw": [0.8, 1.0], "interval": {"low": 0.7, "high": 0.85}}}
    assert _score(figures, "test", "accuracy") == {"value": 0.8, "low": 0.7, "high": 0.85}
    assert _score({"test": {"accuracy": 0.9}}, "test", "accuracy")["value"] == 0.9
