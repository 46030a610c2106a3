"""Which training rows made a model answer so: TracIn over the checkpoints that a run kept, and nearest rows.

TracIn (Pruthi et al. 2020, arXiv:2002.08484) sums, over checkpoints, the learning rate times the product of two
gradients: that of a training row's loss, and that of the loss of the answer. Here of the last layer alone, where a
gradient is (probabilities - truth) times the layer's input, in closed form. Nearest rows are by the cosine of these
inputs; they ignore labels, and are no influence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax

from kerasft.console.terminal import Terminal
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.explain.kept_weights import KeptWeights
from kerasft.explain.unknown_texts import Vectors
from kerasft.models.heads.text_classifier import HEAD
from kerasft.runs import Run, Trained

MOST_CHECKPOINTS = 4  # of those that are kept, evenly over the run


class Read(NamedTuple):
    """Rows as one checkpoint reads them.

    Attributes:
        rate: the learning rate at the checkpoint.
        errors: (rows, labels) float32 probabilities minus the truth.
        inputs: (rows, width + 1) float32 what the last layer reads, and a 1 for its bias.
    """

    rate: float
    errors: np.ndarray
    inputs: np.ndarray

    def products(self, other: Read) -> np.ndarray:
        """(rows, other rows) of the gradients of both."""
        return (self.errors @ other.errors.T) * (self.inputs @ other.inputs.T)


class TrainingRows:
    """The training rows of a run, as each of its checkpoints reads them.

    Args:
        run: of one label a text.
        trained: the same, loaded; its weights are changed and put back.
        table: the rows, staged as they were for training.
        terminal: shows how many rows are read.

    Raises:
        UserError: the run kept fewer than two checkpoints, or trained other weights than all of them.
    """

    def __init__(self, run: Run, trained: Trained, table: Table, terminal: Terminal):
        check_one_label(trained)
        self.terminal = terminal
        self.task, self.table = trained.task, table
        self.labels: list[str] = trained.task.state["labels"]
        self.kept = KeptWeights(run, trained.model, MOST_CHECKPOINTS)
        self._vectors, self._trained = Vectors(trained), trained
        rows = table.rows(np.arange(len(table)))
        self._targets = np.asarray(trained.task.targets(table))
        known = self._targets < len(self.labels)  # rows out of scope teach nothing where they are not learnt
        self.numbers = np.flatnonzero(known)
        self._texts = [{name: rows[number][name] for name in trained.task.inputs} for number in self.numbers]
        self.rows = [rows[number] for number in self.numbers]
        self.targets = self._targets[known]
        self._read: list[Read] | None = None

    def read(self) -> list[Read]:
        """The training rows at each checkpoint; made once."""
        if self._read is None:
            total = len(self._texts) * len(self.kept.entries)
            with self.terminal.progress("training rows", total, unit="texts") as line:
                self._read = self.at_checkpoints(self._texts, self.targets, line.update)
        return self._read

    def at_checkpoints(
        self, texts: Sequence[dict[str, str]], targets: np.ndarray, report: Callable[[int], None] = lambda rows: None
    ) -> list[Read]:
        """Rows of input and the labels that their loss is of -> how each checkpoint reads them."""
        found = []
        for number, rate in enumerate(self.kept.each()):
            before = number * len(texts)
            logits, vectors = self._vectors(texts, lambda rows, before=before: report(before + rows))
            errors = softmax(logits.astype(np.float64), axis=1)
            errors[np.arange(len(targets)), targets] -= 1.0
            inputs = np.concatenate([vectors, np.ones((len(vectors), 1))], 1)
            found.append(Read(rate, errors.astype(np.float32), inputs.astype(np.float32)))
        return found

    def influence(self, texts: Sequence[dict[str, str]], targets: np.ndarray) -> np.ndarray:
        """(rows of train, texts): more than 0 where a row lowered the loss of the label that a text is asked for."""
        theirs = self.at_checkpoints(texts, targets)
        return np.sum([own.rate * own.products(other) for own, other in zip(self.read(), theirs)], axis=0)

    def mean_influence(self, texts: Sequence[dict[str, str]], targets: np.ndarray) -> np.ndarray:
        """(rows of train,) the same, in the mean over the texts; without a number for each pair."""
        total = np.zeros(len(self.rows))
        for own, other in zip(self.read(), self.at_checkpoints(texts, targets)):
            gradient = other.errors.T @ other.inputs / len(texts)  # (labels, width + 1)
            total += own.rate * np.einsum("nc,cw,nw->n", own.errors, gradient, own.inputs, optimize=True)
        return total

    def self_influence(self) -> np.ndarray:
        """(rows of train,) of each row on itself, never negative: large where the model had to learn it by heart."""
        return np.sum([own.rate * (own.errors**2).sum(1) * (own.inputs**2).sum(1) for own in self.read()], axis=0)

    def described(self, number: int, score: float) -> dict[str, Any]:
        """One training row as an explanation has it."""
        row = self.rows[number]
        texts = {name: row[name] for name in self.task.inputs}
        return {"where": row.get("where"), **texts, "label": row["label"], "score": float(score)}

    def explain(self, texts: Sequence[dict[str, str]], labels: Sequence[str], count: int) -> list[dict[str, Any]]:
        """For each text the rows that spoke most for its label, those most against it, and the nearest ones."""
        number = {label: index for index, label in enumerate(self.labels)}
        influence = self.influence(texts, np.array([number[label] for label in labels]))
        vectors, own = self._vectors(texts)[1], self._vectors(self._texts)[1]
        cosines = _units(own) @ _units(vectors).T  # (rows of train, texts)
        found = []
        for column in range(len(texts)):
            order, near = (
                np.argsort(-influence[:, column], kind="stable"),
                np.argsort(-cosines[:, column], kind="stable"),
            )
            found.append(
                {
                    "helped": [self.described(int(i), float(influence[i, column])) for i in order[:count]],
                    "harmed": [self.described(int(i), float(influence[i, column])) for i in order[::-1][:count]],
                    "nearest": [self.described(int(i), float(cosines[i, column])) for i in near[:count]],
                }
            )
        return found

    def harmful(self, validation: Table, count: int) -> list[dict[str, Any]]:
        """The rows that look most as if their label was wrong, those first that the model learnt by heart.

        Each has `self_influence`, by which they are ordered, and `influence` in the mean over the validation split,
        less than 0 where the row raised its loss.
        """
        rows = validation.rows(np.arange(len(validation)))
        targets = np.asarray(self.task.targets(validation))
        known = np.flatnonzero(targets < len(self.labels))
        texts = [{name: rows[number][name] for name in self.task.inputs} for number in known]
        mean, own = self.mean_influence(texts, targets[known]), self.self_influence()
        found = []
        for number in np.argsort(-own, kind="stable")[:count]:
            row = self.described(int(number), float(mean[number]))
            row["influence"] = row.pop("score")
            found.append(row | {"self_influence": float(own[number])})
        return found


def check_one_label(trained: Trained) -> None:
    """Raises UserError where a model has no last layer of one label a text."""
    task = trained.task
    if not task.one_of_many or not any(layer.name == HEAD for layer in trained.model.layers):
        name = task.config.task.name
        raise UserError(f"training rows are traced for text_classification with one label, not for {name}")


def _units(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
