"""A run is the same run however it is started; what is plugged in without a change of its sums changes no bit."""

import io
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from support.tiny_split import config

import kerasft
from kerasft import train
from kerasft.config.load import load_config
from kerasft.console.terminal import Terminal
from kerasft.data.splits import load_splits
from kerasft.session import train_run
from kerasft.tasks.registry import create_task
from kerasft.training.actions import Action
from kerasft.training.objectives.base import Objective
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.plan import TrainingPlan
from kerasft.training.trainer import Trainer

SHORT = (
    "training.epochs=null",
    "training.steps=6",
    "training.evaluate_every=3",
    "training.fused=[]",
    "model.dropout=0.1",
)


class Moments(Action):
    """Notes when it is called."""

    def __init__(self):
        self.seen: list[tuple] = []

    def begin(self, training):
        super().begin(training)
        self.seen.append(("begin", training.steps))

    def after_steps(self, output):
        self.seen.append(("steps", self.training.checkpoints.step))

    def after_evaluation(self, metrics):
        self.seen.append(("evaluation", self.training.checkpoints.step, sorted(metrics)[0]))

    def end(self, *failed):
        self.seen.append(("end", failed[0]))


class OwnLoss(Objective):
    """The task's loss, by its parts; what stands beside the targets is the targets again."""

    def beside_targets(self, train):
        return {"again": train.targets[:, None]}

    def loss(self, inputs, targets, weights):
        again = tf.cast(self.beside(inputs, "again")[:, 0], targets.dtype)  # (batch, 1) -> (batch,)
        return tf.reduce_sum(self.task.loss(again, self.logits(inputs)) * weights)


def test_the_command_and_the_function_train_the_same_bits(project, capsys):
    project(export={"enabled": False})
    assert train.main(["config.yaml", "name=command", *SHORT]) == 0, capsys.readouterr().err
    told = json.loads(Path("runs/command/metrics.json").read_text())

    chosen = load_config("config.yaml", ["name=function", *SHORT])
    said, moments = io.StringIO(), Moments()
    outcome = train_run(
        chosen,
        tables=load_splits(chosen, create_task(chosen)),
        start=lambda assembled: assembled,
        actions=[moments],
        objective=OwnLoss,
        terminal=Terminal(stream=said, output=said),
    )
    assert outcome.metrics["training"]["sha256"] == told["training"]["sha256"]
    assert outcome.metrics["test"] == told["test"] and outcome.metrics["validation"] == told["validation"]
    assert (outcome.run.folder, outcome.model, outcome.export) == (
        Path("runs/function"),
        Path("runs/function/model"),
        None,
    )
    steps = [("steps", step) for step in range(1, 7)]
    evaluations = [("evaluation", step, "accuracy") for step in (3, 6)]
    assert moments.seen == [("begin", 6), *steps[:3], evaluations[0], *steps[3:], evaluations[1], ("end", None)]

    answers = kerasft.load("runs/function").answer(["goal match", "bank price"])
    predicted = [json.loads(line) for line in Path("runs/function/predictions/test.jsonl").read_text().splitlines()]
    assert [set(answer) for answer in answers] == [set(predicted[0]) - {"text", "truth"}] * 2
    assert kerasft.evaluate("runs/function", terminal=Terminal(stream=said))["accuracy"] == told["test"]["accuracy"]


class Counted(TaskLoss):
    """Counts the batches that it was asked for; nothing else is its own."""

    def __init__(self, model, task):
        super().__init__(model, task)
        self.count = keras.Variable(0.0, trainable=False, name="count")

    @property
    def variables(self):
        return [self.count]

    def loss(self, inputs, targets, weights):
        self.count.value.assign_add(1.0)
        return super().loss(inputs, targets, weights)


class Enough(Action):
    def after_evaluation(self, metrics):
        self.training.enough = True


def test_an_objectives_state_is_a_part_of_the_checkpoint_and_an_action_ends_the_run(
    prepared,
    tiny_bert,
    tmp_path,
):
    def trainer(**training) -> Trainer:
        keras.utils.set_random_seed(1)
        chosen, strategy = config(steps=11, evaluate_every=5, **training), tf.distribute.OneDeviceStrategy("/cpu:0")
        task = create_task(chosen, {"labels": ["a", "b"]})
        with strategy.scope():
            model = task.build(tiny_bert())
            objective = Counted(model, task)
        terminal, checkpoints = Terminal(stream=io.StringIO()), str(tmp_path / "checkpoints")
        made_of = (chosen, task, model, prepared, prepared, strategy, tmp_path, checkpoints, terminal)
        return Trainer(TrainingPlan(*made_of, objective=objective, actions=(Enough(),)))

    first = trainer()
    first.fit()
    assert first.checkpoints.step == 5 and float(first.objective.count) == 5.0  # all 11 were not needed
    again = trainer(deterministic=True)
    assert float(again.objective.count) == 0.0
    assert first.run_steps.timed and not again.run_steps.timed  # TensorFlow refuses its clock where bits must repeat
    again.checkpoints.restore()
    assert float(again.objective.count) == 5.0 and again.checkpoints.sha256() == first.sha256
    again.objective.count.assign(6.0)
    assert again.checkpoints.sha256() != first.sha256
    np.testing.assert_array_equal(again.checkpoints.step, 5)
