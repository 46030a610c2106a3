"""The members of an ensemble as one model, and their task with what they disagree about in its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from kerasft.assembly import HEAD, Assembled, head_of, load_model, with_head
from kerasft.errors import UserError
from kerasft.inference.local import UNCERTAINTY
from kerasft.models.heads.joined_logits import votes_of_classes
from kerasft.models.named_weights import load_variables
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.models.tokenizers.digest import tokenizer_digest
from kerasft.models.weights_digest import weights_digest
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task


@dataclass(frozen=True)
class Members:
    """Loaded runs.

    Attributes:
        models: features -> logits of each.
        tasks: of each, whose model it is.
        preprocessor: strings -> features, the same for all.
        shared: how many have the backbone of one before them.
    """

    models: list[keras.Model]
    tasks: list[Task]
    preprocessor: Any
    shared: int


def load_members(runs: Sequence[Run]) -> Members:
    """The models of finished runs; backbones with the same weights are one.

    Raises:
        UserError: they read texts in different ways, so that they can't share their inputs.
    """
    backbones: dict[str, Assembled] = {}
    models, tasks, readers = [], [], []
    for run in runs:
        folder, task = run.folder / "model", create_task(run.config, run.load_state())
        backbone = load_backbone(str(folder))
        digest = weights_digest(backbone.weights)
        if digest in backbones:
            first = backbones[digest]
            assembled = with_head(task, first.backbone, load_tokenizer(str(folder)))
            load_variables(folder / HEAD, head_of(assembled))
        else:
            assembled = load_model(folder, task)
            backbones[digest] = assembled
        models.append(assembled.model)
        tasks.append(task)
        rows = int(assembled.backbone.vocabulary_size) if task.writes else None  # there may be some to spare
        reader = tokenizer_digest(assembled.tokenizer), run.config.model.max_length, assembled.preprocessor, rows
        readers.append(reader)
    for run, reader in zip(runs, readers):
        if reader[:2] != readers[0][:2]:
            what = "tokenizer" if reader[0] != readers[0][0] else "model.max_length"
            raise UserError(f"{run.folder}: its {what} is not that of {runs[0].folder}; members share their inputs")
        if reader[3] != readers[0][3]:
            raise UserError(
                f"{run.folder}: its vocabulary has {reader[3]} rows, and that of {runs[0].folder} {readers[0][3]}; "
                "members that write have the same"
            )
    return Members(models, tasks, readers[0][2], len(runs) - len(backbones))


class Ensemble(keras.Model):
    """Features -> joined logits of all members.

    Args:
        members: loaded.
        task: of the ensemble, whose labels may be in another order than a member's.
        weights: share of each member; they sum to 1.
        vote: the share of votes instead of the mean of probabilities.
    """

    def __init__(self, members: Members, task: Task, weights: Sequence[float], vote: bool = False):
        super().__init__(name="ensemble")
        self.members, self.tasks, self.task = members.models, members.tasks, task
        self.shares, self.vote = list(weights), vote
        task.join(members.tasks, self.shares)

    def own_logits(self, features: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        """Of each, as its own task has them."""
        return [model({name: features[name] for name in model.input}, training=False) for model in self.members]

    def member_logits(self, features: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        """Of each, with the logits in the order of the ensemble's task."""
        return [as_of(self.task, each, task.state) for each, task in zip(self.own_logits(features), self.tasks)]

    def joined(self, members: Sequence[tf.Tensor], features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Logits of the ensemble."""
        if self.vote:
            return votes_of_classes(members, self.shares)
        return self.task.joined_logits(members, self.shares, features)

    def call(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.joined(self.member_logits(features), features)

    def every(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """(..., 1 + members): the logits of `call` and those of each member by itself, from one pass of each."""
        own = [tf.cast(each, tf.float32) for each in self.own_logits(features)]
        in_order = [as_of(self.task, each, task.state) for each, task in zip(own, self.tasks)]
        return tf.stack([self.joined(in_order, features), *own], -1)


def as_of(task: Task, logits: tf.Tensor, state: Mapping[str, Any]) -> tf.Tensor:
    """A member's logits as a task has them: labels in its order, numbers on its scale."""
    if "deviation" in state and "mean" in state:
        values = logits * state["deviation"] + state["mean"]
        return (values - task.state["mean"]) / task.state["deviation"]
    old, new = state.get("labels"), task.state.get("labels")
    if old is None or new is None or list(old) == list(new):
        return logits
    names, wanted = task.logit_names(old), task.logit_names(new)
    return tf.gather(logits, [names.index(name) for name in wanted], axis=-1)


class EnsembleTask:
    """A task whose answers say how much the members differ; in everything else the task itself.

    Args:
        task: of the ensemble.
    """

    def __init__(self, task: Task):
        self._task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def answer(self, model: Ensemble, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The task's answer, and `uncertainty`: (batch,) float32, see docs/ensembles.md."""
        if self._task.writes:  # an answer is drawn token by token; there is no one number for it
            return self._task.answer(model, features)
        members = model.member_logits(features)
        answers = self._task.decode(model.joined(members, features), features)
        apart = self._task.disagreement(members, model.shares, features)
        if "windows" in features:  # a text has several: the largest of theirs
            texts = tf.shape(features["windows"])[0]
            text = tf.repeat(tf.range(texts), features["windows"])
            apart = tf.maximum(tf.math.unsorted_segment_max(apart, text, texts), 0.0)
        return {**answers, UNCERTAINTY: apart}


def exported_task(task: Task) -> Task:
    """The task that an ensemble is exported with."""
    return cast(Task, EnsembleTask(task))


def mixture_weights(truth: np.ndarray, rounds: int = 200) -> list[float]:
    """(rows, members) probability that each gives to the truth -> the shares by which their mean is likeliest.

    Expectation maximisation of a mixture, which has one maximum. Stacking with weights that are none below 0.
    """
    weights = np.full(truth.shape[1], 1.0 / truth.shape[1])
    truth = np.maximum(truth.astype(np.float64), 1e-12)
    for _ in range(rounds):
        share = weights * truth
        weights = (share / share.sum(1, keepdims=True)).mean(0)
    return [float(weight) for weight in np.maximum(weights, 1e-6) / np.maximum(weights, 1e-6).sum()]
