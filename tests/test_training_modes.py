"""Which keys of a config ask for several runs, who trains them, and who refuses them."""

import dataclasses
import json

import pytest

from kerasft import training_modes
from kerasft.config.load import read_config
from kerasft.config.several_runs import check_one_run, keys_of_several_runs
from kerasft.errors import UserError
from kerasft.training_modes import MODES, train_config

PLAIN = {
    "name": "tiny",
    "task": {"name": "text_classification"},
    "model": {"preset": "preset"},
    "data": {"train": "train.csv", "columns": {"text": "text", "label": "label"}},
}
LABELS = {"task": {"name": "text_classification", "labels": ["a", "b"]}}
ASKING = {
    "prompting": LABELS | {"prompting": {"method": "embedding"}, "data": PLAIN["data"] | {"train": []}},
    "data.draws": {
        "data": PLAIN["data"] | {"shots": 8, "draws": 5, "validation": "leave_one_out"},
        "training": {"fit_head": True, "epochs": None, "steps": 0},
    },
    "data.folds": {"data": PLAIN["data"] | {"folds": 3}},
    "augment.measure": {"augment": {"typos": {}, "measure": True}},
    "continual": {"continual": {"stages": 2, "method": "replay"}},
}


def config_of(key):
    return read_config(PLAIN | ASKING[key])


@pytest.fixture
def called(monkeypatch):
    """What was trained: the key of a mode, or "run"."""
    found = []
    modes = {
        key: dataclasses.replace(mode, train=lambda config, key=key, **_: found.append(key))
        for key, mode in MODES.items()
    }
    monkeypatch.setattr(training_modes, "MODES", modes)
    monkeypatch.setattr(training_modes, "train_run", lambda config, **_: found.append("run"))
    return found


def test_every_mode_is_asked_for_by_a_key_and_found_by_it(called):
    assert set(ASKING) == set(MODES)
    for key in ASKING:
        assert keys_of_several_runs(config_of(key)) == [key]
        train_config(config_of(key))
    assert called == list(ASKING)


def test_a_plain_config_is_one_run(called):
    train_config(read_config(PLAIN))
    assert called == ["run"]
    check_one_run(read_config(PLAIN), "--compare")


def test_examples_in_a_prompt_train_nothing_although_there_is_train(called):
    prompting = {"prompting": {"method": "causal_lm", "demonstrations": 4}}
    train_config(read_config(PLAIN | LABELS | prompting))
    assert called == ["prompting"]


def test_two_keys_at_once_and_several_workers_are_refused(called, monkeypatch):
    with pytest.raises(UserError, match="data.folds and augment.measure: can't be had at once"):
        train_config(read_config(PLAIN | ASKING["data.folds"] | ASKING["augment.measure"]))
    workers = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(workers))
    with pytest.raises(UserError, match="data.draws: is for one process, and there are several workers"):
        train_config(config_of("data.draws"))
    assert called == []


def test_an_option_that_a_mode_does_not_take_is_refused(called):
    with pytest.raises(UserError, match="continual: its runs take no tables"):
        train_config(config_of("continual"), tables={})


@pytest.mark.parametrize("key", ASKING)
def test_who_needs_one_run_refuses_the_key(key):
    with pytest.raises(UserError, match=f"{key}: kerasft search needs a config that trains one run"):
        check_one_run(config_of(key), "kerasft search")


def test_search_and_ensembles_refuse_before_they_read_anything(tmp_path, monkeypatch):
    from kerasft.ensembles.command import run_ensemble
    from kerasft.ensembles.plan import Settings
    from kerasft.search.command import run_search

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="augment.measure: kerasft search needs"):
        run_search(config_of("augment.measure"), trials=2)
    with pytest.raises(UserError, match="augment.measure: kerasft ensemble needs"):
        run_ensemble(config_of("augment.measure"), Settings(2, False, "mean", False))
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_there_is_refused_before_texts_are_made(called, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training_modes, "make_texts", lambda *_, **__: called.append("texts"))
    (tmp_path / "runs/tiny").mkdir(parents=True)
    (tmp_path / "runs/tiny/config.yaml").write_text("name: tiny\n")
    with pytest.raises(UserError, match="runs/tiny"):
        train_config(read_config(PLAIN | {"augment": {"typos": {}}}))
    assert called == []
