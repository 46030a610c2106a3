"""Mistakes of `kerasft continue` that are found before TensorFlow loads."""

import importlib

import pytest

main = importlib.import_module("kerasft.continue").main


@pytest.mark.parametrize("arguments", [["more.csv"], ["--forget", "more.csv"]])
def test_rows_that_are_not_there_are_told_in_a_line(trained_project, arguments, capsys):
    assert main(["runs/tiny", *arguments]) == 2
    assert "more.csv: not found" in capsys.readouterr().err


def test_a_run_that_is_none_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["runs/none", "more.csv"]) == 2
    assert "runs/none" in capsys.readouterr().err
