"""The examples of docs/python.md run as they stand there."""

import doctest
import functools
import sys
from pathlib import Path

import keras
from support.small_presets import small_presets  # noqa: F401

import kerasft
from kerasft.keras_models.base import TaskModel

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_examples_of_the_page_run(small_presets, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    # Step by step: there would be more graphs than steps. tests/contracts/test_keras_classes.py has the graphs.
    monkeypatch.setattr(TaskModel, "compile", functools.partialmethod(TaskModel.compile, run_eagerly=True))
    names = {name: str(small_presets / name) for name in ("encoder", "decoder", "both")}
    told = doctest.DocTestParser().get_doctest(
        PAGE.read_text(), {"kerasft": kerasft, "keras": keras, **names}, "python.md", str(PAGE), 0
    )
    failed, tried = doctest.DocTestRunner(verbose=False).run(told, out=sys.stderr.write)
    assert tried > 40 and not failed
    for name in kerasft.KERAS_CLASSES:
        assert f"kerasft.{name}.from_preset" in PAGE.read_text(), name
