"""`import kerasft` is quick, loads no TensorFlow, and offers what applications need."""

import subprocess
import sys

import pytest

import kerasft
from kerasft.config.schema import Config
from kerasft.errors import UserError


def test_the_import_is_quick_and_every_name_but_keras_classes_comes_without_tensorflow():
    program = (
        "import sys, time; begun = time.process_time(); import kerasft; took = time.process_time() - begun\n"
        "assert set(kerasft.KERAS_CLASSES) < set(kerasft.__all__) <= set(dir(kerasft))\n"
        "names = [getattr(kerasft, name) for name in kerasft.__all__ if name not in kerasft.KERAS_CLASSES]\n"
        "print(took < 0.1, all(map(callable, names)), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True", "False"], done


def test_a_program_is_a_function_under_the_same_name():
    from kerasft import evaluate, train

    assert kerasft.train is train and callable(train) and callable(train.main)
    assert kerasft.evaluate is evaluate and callable(evaluate.main)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kerasft.nothing  # noqa: B018


def test_a_config_may_be_a_dict(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {
        "name": "t",
        "task": {"name": "text_classification"},
        "model": {"preset": None, "architecture": {"family": "bert"}},
        "data": {"train": "none.jsonl", "columns": {"text": "text", "label": "label"}},
    }
    for config in (values, Config.model_validate(values)):
        with pytest.raises(UserError, match="none.jsonl"):
            kerasft.train(config)
        with pytest.raises(UserError, match="training.epochs.*few"):
            kerasft.train(config, ["training.epochs=few"])
    assert values["task"] == {"name": "text_classification"} and "training" not in values
    with pytest.raises(UserError, match="config.*task.name"):
        kerasft.train(values | {"task": {"name": "nothing"}})
    with pytest.raises(UserError, match="neither a run"):
        kerasft.load(tmp_path)
