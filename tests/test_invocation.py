"""A command that is printed is one that its reader can type: as this program was started."""

import os
import sys
from pathlib import Path

import pytest

from kerasft.invocation import PACKAGE, command, training_command


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Returns a function: argv[0], and whether the executables of tmp_path/bin are on PATH -> how `train` is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("kerasft", "python"):
        (tmp_path / "bin" / name).write_text("")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.delenv("KERASFT_COMMAND", raising=False)

    def call(file, on_path=False):
        monkeypatch.setattr(sys, "argv", [str(file), "train", "x.yaml"])
        monkeypatch.setenv("PATH", str(tmp_path / "bin") if on_path else "/nowhere")
        return command("train", "my run.yaml")

    return call


def test_the_script_by_its_name_and_by_its_path(started, tmp_path):
    assert started(tmp_path / "bin" / "kerasft", on_path=True) == "kerasft train 'my run.yaml'"
    assert started("bin/kerasft") == "bin/kerasft train 'my run.yaml'"
    assert started(tmp_path / "bin" / "kerasft") == "bin/kerasft train 'my run.yaml'"
    os.chdir("/usr")
    assert started(tmp_path / "bin" / "kerasft") == f"{tmp_path}/bin/kerasft train 'my run.yaml'"


def test_a_module(started, monkeypatch):
    assert started(PACKAGE / "train.py", on_path=True) == "python -m kerasft.train 'my run.yaml'"
    assert started(PACKAGE / "train.py") == "bin/python -m kerasft.train 'my run.yaml'"
    assert started(PACKAGE / "__main__.py", on_path=True) == "python -m kerasft train 'my run.yaml'"
    monkeypatch.setattr(sys, "argv", [str(PACKAGE / "train.py")])
    assert command("check-servable", "x") == "python -m kerasft.check_servable x"


def test_from_another_program_it_is_called_by_its_name(started):
    assert started("/usr/bin/pytest") == "kerasft train 'my run.yaml'"
    assert started("") == "kerasft train 'my run.yaml'"


def test_workers_name_what_started_them_all(monkeypatch):
    monkeypatch.setenv("KERASFT_COMMAND", "kerasft launch --workers 2")
    assert training_command(Path("a b"), "--resume") == "kerasft launch --workers 2 'a b' --resume"
