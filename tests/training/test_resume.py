"""A run that was interrupted within an epoch ends with the bits of one that was not, whatever its rows are."""

import itertools
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from support.rarely import rarely

from kerasft import train
from kerasft.models.presets.presets import load_backbone
from kerasft.training.trainer import Trainer


@pytest.mark.parametrize("name", ["a corpus", *rarely("hidden tokens", "outputs")])
def test_a_resumed_run_ends_with_the_same_bits(configured, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = configured(name, "bucket", batch_size=2, epochs=None, steps=14).model_dump(mode="json")
    config["training"]["optimizer"]["learning_rate"] = 0.1
    config["model"]["dropout"], config["data"]["test"] = 0.1, config["data"]["train"]
    config["export"]["enabled"] = False
    if "decoding" in config["task"]:
        config["task"] |= {"decoding": {"max_new_tokens": 4}, "samples": 2, "measured_answers": 2}
    Path("config.yaml").write_text(json.dumps(config))  # JSON is YAML
    assert train.main(["config.yaml", "name=whole"]) == 0, capsys.readouterr().err
    loop, calls = Trainer.train, itertools.count()

    def interrupted(trainer, steps):
        if next(calls) == 7:  # an epoch of 21 rows has 11 steps, one of a corpus 3
            signal.raise_signal(signal.SIGINT)
        return loop(trainer, steps)

    monkeypatch.setattr(Trainer, "train", interrupted)
    assert train.main(["config.yaml", "name=broken"]) == 130
    assert "interrupted at step 8" in capsys.readouterr().err
    assert train.main(["config.yaml", "name=broken", "--resume"]) == 0, capsys.readouterr().err
    whole, broken = (json.loads(Path(f"runs/{run}/metrics.json").read_text()) for run in ("whole", "broken"))
    assert whole["test"] == broken["test"] and whole["validation"] == broken["validation"]
    assert whole["training"]["sha256"] == broken["training"]["sha256"]
    for one, other in zip(*(load_backbone(f"runs/{run}/model").get_weights() for run in ("whole", "broken"))):
        np.testing.assert_array_equal(one, other)
    answers = [Path("runs", run, "predictions/test.jsonl").read_text() for run in ("whole", "broken")]
    assert answers[0] == answers[1] != ""
