"""Means of weights: `training.averaging`, over the last steps of a run or with other runs."""

import itertools
import json
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft import train
from kerasft.config.averaging import SwaConfig
from kerasft.config.schema import TrainingConfig
from kerasft.errors import UserErrors
from kerasft.training.checkpoints.best import BestRule
from kerasft.training.exported_weights import exported_weights
from kerasft.training.optimizer import create_optimizer
from kerasft.training.soup import Ingredient, greedy_soup
from kerasft.training.trainer import Trainer


def one_weight() -> keras.Model:
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])


@pytest.mark.parametrize("share, counted", [(0.5, 4), (0.01, 1), (1.0, 8), (0.3, 3)])
def test_swa_is_the_plain_mean_of_the_last_steps(share, counted, mirrored):
    assert 8 - SwaConfig(name="swa", share=share).first_step(8) == counted
    config = TrainingConfig.model_validate(
        {
            "optimizer": {"name": "sgd", "momentum": 0.0, "learning_rate": 0.1, "warmup": 0, "clip_norm": None},
            "averaging": {"name": "swa", "share": share},
        }
    )
    with mirrored.scope():
        model = one_weight()
        optimizer = create_optimizer(config, 8, model, {})

    @tf.function
    def step():
        mirrored.run(lambda: optimizer.apply([tf.constant([[0.5]])], model.trainable_variables))

    weights = []
    for number in range(1, 9):
        step()
        weights.append(model.get_weights()[0][0, 0])
        with exported_weights(optimizer):
            mean = model.get_weights()[0][0, 0]
        last = weights[-max(1, counted - (8 - number)) :]  # before the mean begins: the weights themselves
        assert mean == pytest.approx(np.mean(last), rel=1e-6)
    assert model.get_weights()[0][0, 0] == weights[-1]


def soup_of(*weights: float, target: float, falls: bool = False) -> tuple[float, dict]:
    """A weight is as good as it is near the target."""
    model = one_weight()

    def validated():
        error = abs(float(model.get_weights()[0][0, 0]) - target)
        return (error if falls else -error), error, {"threshold": error}

    ingredients = [Ingredient(str(weight), [np.array([[weight]], np.float32)]) for weight in weights]
    made = greedy_soup(model, ingredients, validated, BestRule("m", falls))
    return float(model.get_weights()[0][0, 0]), made


@pytest.mark.parametrize("falls", [False, True])
def test_a_soup_takes_what_makes_it_no_worse(falls):
    weight, made = soup_of(0.0, 3.0, 1.9, target=1.0, falls=falls)
    assert weight == pytest.approx(0.95) and made["runs"] == ["1.9", "0.0"] and made["left_out"] == ["3.0"]
    assert made["state"] == {"threshold": pytest.approx(0.05)}  # of these weights
    weight, made = soup_of(0.5, target=1.0, falls=falls)  # of one run it is the run
    assert weight == 0.5 and made["runs"] == ["0.5"] and made["left_out"] == []
    third = np.float32(1 / 3)
    weight, made = soup_of(third, third, third, target=1.0, falls=falls)
    assert weight == third and len(made["runs"]) == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"ema": 0.9, "averaging": {"name": "swa"}}, "two means of the steps"),
        ({"averaging": {"name": "soup"}}, "training.averaging.runs: missing"),
        ({"averaging": {"name": "swa", "share": 0}}, "training.averaging.share: 0 is out of range"),
    ],
)
def test_mistakes_are_refused(project, change, message):
    with pytest.raises(UserErrors, match=message):
        train.train(str(project(training=change)))


def test_swa_goes_on_with_the_same_bits_and_runs_that_began_alike_make_a_soup(project, monkeypatch, capsys):
    swa = {"averaging": {"name": "swa", "share": 0.5}}
    config = str(project(training=swa, model={"dropout": 0.1}, export={"enabled": False}))
    assert train.main([config, "name=whole"]) == 0
    loop, calls = Trainer.train, itertools.count()

    def interrupted(trainer, steps):
        if next(calls) == 20:  # of 27; the mean begins at step 14
            signal.raise_signal(signal.SIGINT)
        return loop(trainer, steps)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", interrupted)
        assert train.main([config, "name=broken"]) == 130
    assert train.main([config, "name=broken", "--resume"]) == 0
    whole, broken = (json.loads(Path(f"runs/{run}/metrics.json").read_text()) for run in ("whole", "broken"))
    assert whole["training"]["sha256"] == broken["training"]["sha256"] and whole["test"] == broken["test"]
    soup = [
        config,
        "name=soup",
        "training.epochs=1",
        "training.averaging={name: soup, runs: [runs/whole, runs/broken]}",
    ]
    assert train.main(soup) == 0
    made = json.loads(Path("runs/soup/metrics.json").read_text())
    record = made["training"]["soup"]
    assert record["runs"][:2] == ["runs/whole", "runs/broken"]  # equal ones
    assert made["validation"]["accuracy"] >= whole["validation"]["accuracy"] == record["values"]["runs/whole"]
    capsys.readouterr()
    assert train.main([*soup, "--overwrite", "seed=1"]) == 2
    assert "training.averaging.runs: runs/whole: its seed is another" in capsys.readouterr().err
