"""A run that a config learns from and that is not there is told by its key before any row is read."""

from pathlib import Path

import pytest

from kerasft.config.load import read_config
from kerasft.errors import UserError
from kerasft.named_runs import check_named_runs

PLAIN = {
    "name": "tiny",
    "task": {"name": "text_classification"},
    "model": {"preset": "preset"},
    "data": {"train": "none.csv", "columns": {"text": "text", "label": "label"}},
}


@pytest.mark.parametrize(
    ("training", "key"),
    [
        ({"objective": {"name": "distillation", "teacher": "runs/none"}}, "training.objective.teacher"),
        ({"averaging": {"name": "soup", "runs": ["runs/none"]}}, "training.averaging.runs"),
    ],
)
def test_it_is_told_by_its_key(training, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{key}: .*runs/none.* is not a run"):
        check_named_runs(read_config(PLAIN | {"training": training}), tmp_path / "runs/tiny")


def test_a_config_that_names_none_has_none_to_miss(tmp_path):
    check_named_runs(read_config(PLAIN), tmp_path / "runs/tiny")


def test_a_run_is_not_its_own_teacher(trained_project):
    from kerasft.config.load import load_config

    config = load_config("config.yaml", ["training.objective={name: distillation, teacher: runs/tiny}"])
    with pytest.raises(UserError, match="training.objective.teacher: runs/tiny is the run that is to be trained"):
        check_named_runs(config, Path("runs/tiny"))
    check_named_runs(config, Path("runs/other"))
