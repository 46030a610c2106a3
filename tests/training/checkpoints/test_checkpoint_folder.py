"""Checkpoints in a folder that outlives the machine: their run goes on from them when all else is gone, no other."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import tensorflow as tf
from support.rarely import rarely

from kerasft import train
from kerasft.training.actions import signals


@pytest.fixture(
    params=[*rarely("{}/bucket", "file://{}/bucket/"), "gs://bucket/mine"],
    ids=["path", "url", "gs"],
)
def elsewhere(request, tmp_path) -> str:
    if request.param.startswith("gs"):
        request.getfixturevalue("cloud_storage")
    return request.param.format(tmp_path)


def figures(run: Path) -> dict:
    metrics = json.loads((run / "metrics.json").read_text())
    return {"test": metrics["test"], "sha256": metrics["training"]["sha256"]}


def stop_at(step: int, monkeypatch) -> None:
    """As if SIGTERM came in the middle of this step."""
    after_steps = signals.StopOnSignal.after_steps

    def watched(self, output):
        if self.training.checkpoints.step == step:
            self.signal = signal.SIGTERM
        after_steps(self, output)

    monkeypatch.setattr(signals.StopOnSignal, "after_steps", watched)


def test_a_run_goes_on_when_its_machine_is_gone(project, trained, elsewhere, monkeypatch, capsys):
    project(export={"enabled": False})  # the preset has dropout
    where = f"training.checkpoint.dir={elsewhere}"
    with monkeypatch.context() as patch:
        stop_at(13, patch)
        assert train.main(["config.yaml", where]) == 143
    assert "at step 13" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("runs/tiny/checkpoints").exists()
    shutil.rmtree("runs")
    assert train.main(["config.yaml", where, "--resume"]) == 0
    assert figures(Path("runs/tiny")) == figures(trained / "runs/tiny")  # which nothing interrupted


@pytest.mark.long
def test_another_run_does_not_take_the_checkpoints(project, elsewhere, monkeypatch, capsys):
    project(export={"enabled": False}, training={"epochs": 1})
    where = f"training.checkpoint.dir={elsewhere}"
    assert train.main(["config.yaml", where]) == 0
    folder = f"{elsewhere.rstrip('/')}/tiny"
    kept = tf.io.gfile.listdir(folder)
    shutil.rmtree("runs")

    def refused(*arguments: str) -> str:
        assert train.main(["config.yaml", where, *arguments]) == 2
        assert tf.io.gfile.listdir(folder) == kept and not Path("runs").exists()
        return capsys.readouterr().err.splitlines()[-1]

    assert f"{folder} has the checkpoints of a run" in refused()
    assert f"training.batch_size: 4, but {folder} began with 8" in refused("training.batch_size=4", "--resume")
    rows = Path("train.jsonl").read_text()
    Path("train.jsonl").write_text(rows + rows.splitlines()[0] + "\n")
    assert "the data is not what its run began with" in refused("--resume")
    assert train.main(["config.yaml", where, "--overwrite"]) == 0


@pytest.mark.parametrize(
    "place, named",
    [("/proc/nowhere", "/proc can't be written"), ("nofs://bucket/folder", "nofs://bucket/folder/tiny: ")],
)
def test_a_folder_that_cannot_be_written_is_named(project, place, named, capsys):
    project(export={"enabled": False})
    assert train.main(["config.yaml", f"training.checkpoint.dir={place}"]) == 2
    assert f"training.checkpoint.dir: {named}" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("runs").exists()


@pytest.mark.parametrize("flag", [[], ["--overwrite"], ["--resume"]], ids=str)
def test_a_folder_of_something_else_is_left_alone(project, elsewhere, flag, capsys):
    project(export={"enabled": False})
    photo = f"{elsewhere.rstrip('/')}/tiny/2024/photo.jpg"
    tf.io.gfile.makedirs(photo.rpartition("/")[0])
    with tf.io.gfile.GFile(photo, "w") as file:
        file.write("dear")
    assert train.main(["config.yaml", f"training.checkpoint.dir={elsewhere}", *flag]) == 2
    assert "holds 2024" in capsys.readouterr().err.splitlines()[-1]
    with tf.io.gfile.GFile(photo) as file:
        assert file.read() == "dear"
    assert not Path("runs").exists()
