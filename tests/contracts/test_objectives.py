"""What every objective must hold to; an objective joins with a line of STRONG and one of WEAK."""

import itertools
import json
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.packed_run import Run, assert_same
from support.task_rows import GRADIENT, TASKS, configured, settings  # noqa: F401

from kerasft import train
from kerasft.assembly import assemble
from kerasft.config.objective import COMPARE_ROWS, TAKEN
from kerasft.config.optimizer import OptimizerConfig
from kerasft.config.schema import Config
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.kernels import library, operations
from kerasft.tasks.registry import create_task
from kerasft.training.layers import deferred_rows
from kerasft.training.layers.deferred_rows import EMBEDDINGS
from kerasft.training.layers.fused_layers import KERNELS, NAMES
from kerasft.training.layers.precision import bfloat16_products
from kerasft.training.objectives.rdrop import RDrop
from kerasft.training.objectives.registry import OBJECTIVES, make_objective
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.trainer import Trainer

# The section of each objective, with nothing drawn where that can be; and one that leaves the task's loss.
STRONG = {
    "focal": {"gamma": 2.0},
    "rdrop": {"alpha": 2.0},
    "fgm": {"epsilon": 0.5},
    "pgd": {"epsilon": 0.5, "steps": 2},
    "freelb": {"epsilon": 0.5, "steps": 2, "step_size": 0.3, "start": 0.0},
    "smart": {"epsilon": 0.2, "step_size": 0.1, "start": 0.1},
    "neftune": {"alpha": 5.0},
    "mixout": {"share": 0.5},
    "supervised_contrastive": {"weight": 0.5},
}
WEAK = {
    "focal": {"gamma": 0.0},
    "rdrop": {"alpha": 0.0},
    "fgm": {"epsilon": 0.0},
    "pgd": {"alpha": 0.0},
    "freelb": {"epsilon": 0.0},
    "smart": {"weight": 0.0},
    "neftune": {"alpha": 0.0},
    "mixout": {"share": 0.0},
    "supervised_contrastive": {"weight": 0.0},
}
DRAWN = ("smart", "neftune")  # always, so that parts of a batch have other draws than the whole
ALMOST_NO_DROPOUT = 1e-9  # R-Drop refuses none at all; this drops nothing
ROWS_UPDATED = OptimizerConfig.model_validate(
    GRADIENT | {"name": "adamw", "epsilon": 0.01}  # whose update is no sign of a gradient that is almost 0
)


class Objectives:
    """A run of the task of an objective, whose objective changes; each task's model is made once."""

    def __init__(self):
        self.runs, self.plain = {}, {}

    def run(self, name, configured) -> Run:  # noqa: F811
        task = "a corpus" if name == "neftune" else "a label"
        if task not in self.runs:
            config = configured(task)
            if task == "a label":
                model = config.model.model_copy(update={"dropout": ALMOST_NO_DROPOUT})
                config = config.model_copy(update={"model": model})
            self.runs[task] = run = Run(config)
            self.plain[id(run)] = run.trained(packs=False, eager=True)
        return self.runs[task]


@pytest.fixture(scope="module")
def objectives() -> Objectives:
    return Objectives()


def learnt(run: Run, name: str, section: dict, **options):
    values = run.config.model_dump()
    values["training"]["objective"] = {"name": name, **section}
    run.model.set_weights([0.9 * value for value in run.weights])  # what training began with
    with run.strategy.scope():
        run.objective = make_objective(Config.model_validate(values))(run.model, run.task)
    try:
        return run.trained(**options)
    finally:
        run.objective = TaskLoss(run.model, run.task)


def available() -> tuple[str, ...]:
    try:
        library.load()
    except library.Unavailable:
        return tuple(name for name in NAMES if name != KERNELS)
    return NAMES


def test_every_objective_is_held_to_it():
    assert STRONG.keys() == WEAK.keys() == OBJECTIVES.keys()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_without_strength_a_step_is_the_plain_one_bit_for_bit(objectives, configured, name):  # noqa: F811
    run = objectives.run(name, configured)
    losses, changes = learnt(run, name, WEAK[name], packs=False, eager=True)
    assert losses == objectives.plain[id(run)][0]
    for mine, plain in zip(changes, objectives.plain[id(run)][1], strict=True):
        np.testing.assert_array_equal(mine, plain)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_form_of_a_step_learns_the_same(objectives, configured, name):  # noqa: F811
    run = objectives.run(name, configured)
    whole = learnt(run, name, STRONG[name], packs=False, eager=True)
    assert all(np.isfinite(change).all() for change in whole[1])
    apart = max(np.abs(mine - plain).max() for mine, plain in zip(whole[1], objectives.plain[id(run)][1]))
    assert name == "rdrop" or apart > 1e-3  # two passes without dropout are the same
    parts = {} if name in (*DRAWN, *COMPARE_ROWS) else {"gradient_accumulation": 2, "parallel_microbatches": 2}
    assert_same(whole, learnt(run, name, STRONG[name], recomputed=True, eager=True, **parts))
    assert_same(whole, learnt(run, name, STRONG[name], fused=available(), eager=True, **parts))


@pytest.mark.parametrize("task", ["several labels", "a number", "tags", "answers", "a relation"])
def test_every_task_that_takes_an_objective(settings, task):  # noqa: F811
    config = settings(*TASKS[task])
    model = config.model.model_copy(update={"dropout": ALMOST_NO_DROPOUT})
    run = Run(config.model_copy(update={"model": model}))
    plain = run.trained(eager=True)
    left_out = {"pgd", "freelb", "distillation"}  # which ask no more than fgm, and which has a run as its teacher
    for name in sorted({*TAKEN[config.task.name](config.task)} - left_out):
        found = learnt(run, name, STRONG[name], eager=True)
        apart = max(np.abs(mine - other).max() for mine, other in zip(found[1], plain[1]))
        assert apart < 1e-4 if name == "rdrop" else apart > 1e-3, (name, apart)  # finite, too


@pytest.mark.parametrize("name", ["rdrop", "pgd", "smart"])
def test_gradients_that_are_made_together_have_each_pass_once(objectives, configured, name):  # noqa: F811
    """Not those that only look for a perturbation."""
    if KERNELS not in available() or not operations.has_products():
        pytest.skip("no products of our own here")
    run = objectives.run(name, configured)
    whole = learnt(run, name, STRONG[name], packs=False, eager=True)
    with bfloat16_products(True):
        parts = 1 if name in DRAWN else 2
        found = learnt(run, name, STRONG[name], fused=available(), eager=True, parallel_microbatches=parts)
    for mine, other in zip(found[1], whole[1], strict=True):
        assert np.linalg.norm(mine - other) <= 0.1 * np.linalg.norm(other) + 1e-3  # of bfloat16


@pytest.mark.parametrize("name", ["fgm", "pgd", "smart"])
def test_rows_of_embeddings_that_are_deferred(objectives, configured, monkeypatch, name):  # noqa: F811
    monkeypatch.setattr(deferred_rows, "LEAST_ROWS", 10)
    run = objectives.run(name, configured)
    options = {"packs": False, "eager": True, "optimizer": ROWS_UPDATED}
    whole = learnt(run, name, STRONG[name], **options)
    assert run.deferred == 0
    assert_same(whole, learnt(run, name, STRONG[name], fused=(EMBEDDINGS,), **options))
    assert run.deferred == 1


def test_a_step_that_xla_compiles(objectives, configured):  # noqa: F811
    run = objectives.run("fgm", configured)
    whole = learnt(run, "fgm", STRONG["fgm"], packs=False, eager=True)
    assert_same(whole, learnt(run, "fgm", STRONG["fgm"], static=True, gradient_accumulation=2))


def test_two_replicas_do_what_one_does(objectives, configured, mirrored):  # noqa: F811
    one = objectives.run("freelb", configured)
    two = Run(one.config, mirrored)
    for name in ("freelb", "supervised_contrastive"):
        whole = learnt(one, name, STRONG[name], packs=False, eager=True)
        assert_same(whole, learnt(two, name, STRONG[name]))


def test_two_objectives_are_one_too_many(objectives, configured):  # noqa: F811
    config = objectives.run("fgm", configured).config
    values = config.model_dump() | {"training": {"objective": {"name": "fgm"}}}
    with pytest.raises(UserError, match="training.objective: fgm, and an objective was given from Python"):
        make_objective(Config.model_validate(values), TaskLoss)
    assert make_objective(config) is make_objective(config, TaskLoss) is TaskLoss


@pytest.mark.parametrize("name", ["outputs", "answers to prompts"])
def test_rdrop_of_texts_that_are_written(configured, name):  # noqa: F811
    config = configured(name, "bucket")
    config = config.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.2})})
    task = create_task(config)
    tables = load_splits(config, task)
    built = assemble(config, task, train=tables["train"], preset=None)
    features, targets, weights = task.prepare(tables["train"], built.preprocessor, weighted=True).batch(np.arange(4))
    for variable in built.model.trainable_variables:  # so large that dropout shows
        variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
    start = [variable.numpy() for variable in built.model.variables]
    found = RDrop(built.model, task, alpha=3.0).loss(features, tf.constant(targets), weights)
    for variable, value in zip(built.model.variables, start):  # dropout draws the same again
        variable.assign(value)
    one, other = (tf.nn.log_softmax(built.model(features, training=True)).numpy() for _ in range(2))
    apart = 0.5 * ((np.exp(one) - np.exp(other)) * (one - other)).sum(-1)  # (batch, length)
    apart = np.array([row[real].mean() for row, real in zip(apart, targets >= 0)])
    assert apart.min() > 1e-3
    losses = sum(task.loss(tf.constant(targets), logits).numpy() for logits in (one, other))
    assert float(found) == pytest.approx(float(((0.5 * losses + 3.0 * apart) * weights).sum()), rel=1e-4)


def test_a_run_that_draws_goes_on_as_if_it_had_not_stopped(configured, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    config = configured("a label", "bucket", batch_size=8, epochs=None, steps=6).model_dump(mode="json")
    config["training"]["objective"] = {"name": "freelb", "start": 0.5}
    config["training"]["optimizer"]["learning_rate"] = 0.1
    config["export"]["enabled"] = False
    Path("config.yaml").write_text(json.dumps(config))  # JSON is YAML
    assert train.main(["config.yaml", "name=whole"]) == 0, capsys.readouterr().err
    loop, calls = Trainer.train, itertools.count()

    def interrupted(trainer, steps):
        if next(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return loop(trainer, steps)

    monkeypatch.setattr(Trainer, "train", interrupted)
    assert train.main(["config.yaml", "name=broken"]) == 130
    assert train.main(["config.yaml", "name=broken", "--resume"]) == 0, capsys.readouterr().err
    whole, broken = (json.loads(Path(f"runs/{run}/metrics.json").read_text()) for run in ("whole", "broken"))
    assert whole["training"]["sha256"] == broken["training"]["sha256"]
