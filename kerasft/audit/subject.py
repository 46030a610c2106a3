"""What is audited: a loaded run, rows that it did not learn from, and its answers to them."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.attribution.explainer import Asked
from kerasft.audit.settings import AuditSettings
from kerasft.console.terminal import Terminal
from kerasft.data.splits import load_splits
from kerasft.explain.unknown_texts import Vectors
from kerasft.inference.export import Export
from kerasft.inference.local import LocalPredictor
from kerasft.models.heads.text_classifier import HEAD
from kerasft.runs import Run, Trained
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table

MOST_TRAIN = 4000  # rows of train that distances are measured to

Row = dict[str, str]


class Subject:
    """A run, or an export, under audit.

    Args:
        run: that has a trained model; of an export there are answers alone.
        table: the split, of which a sample is taken.
        settings: how much is looked at.
        terminal: shows progress.

    Attributes:
        trained: the model; None of an export, which has no gradients.
        rows: {input: text} of each row.
        whole: the same rows with their truth.
        numbers: (rows,) of each in the split.
    """

    def __init__(self, run: Run | Export, table: Table, settings: AuditSettings, terminal: Terminal):
        from kerasft.inference.batches import with_fused_layers

        self.run, self.table, self.settings, self.terminal = run, table, settings, terminal
        loaded = run.load()
        self.trained = loaded if isinstance(loaded, Trained) else None
        self.task = loaded.task
        self.predictor = LocalPredictor(with_fused_layers(loaded))
        count = min(len(table), settings.rows)
        self.numbers = np.sort(np.random.default_rng(settings.seed).permutation(len(table))[:count])
        self.whole = table.rows(self.numbers)
        known = set(self.task.inputs) <= set(table.schema.names)  # a corpus has no prompts
        self.rows: list[Row] = [{name: row[name] for name in self.task.inputs} for row in self.whole] if known else []

    @functools.cached_property
    def answers(self) -> list[dict[str, Any]]:
        """To `rows`, as the run gives them."""
        return self.predictor.answer(self.rows)

    @functools.cached_property
    def verdicts(self) -> tuple[list[Hashable], np.ndarray]:
        """(rows,) comparable answers, and how right each is."""
        return self.judged(self.answers, range(len(self.rows)))

    def judged(
        self, answers: Sequence[dict[str, Any]], numbers: Sequence[int] | range
    ) -> tuple[list[Hashable], np.ndarray]:
        """Answers to changed texts of some rows, judged by the truth of those."""
        each = [self.task.verdict(answer, self.whole[number]) for answer, number in zip(answers, numbers, strict=True)]
        return [answer for answer, _ in each], np.array([right for _, right in each], np.float64)

    @functools.cached_property
    def explained(self) -> list[Asked]:
        """A number behind the answer to each of a sample of rows: the first, or of a written text one in its middle."""
        draw = np.random.default_rng(self.settings.seed + 1).permutation(len(self.rows))[: self.settings.explained]
        asked = self.predictor.explainer.ask([self.rows[number] for number in np.sort(draw)])
        return [each[len(each) // 2 if self.task.writes else 0] for each in asked if each]

    @functools.cached_property
    def train_table(self) -> Table:
        """Rows that the model has learnt from, a sample by the seed."""
        table = load_splits(self.run.config, create_task(self.run.config), lambda line: None)["train"]
        order = np.random.default_rng(self.settings.seed + 2).permutation(len(table))[:MOST_TRAIN]
        return table.select(np.sort(order))

    @functools.cached_property
    def train(self) -> list[Row]:
        """The texts of `train_table`."""
        rows = self.train_table.rows(np.arange(len(self.train_table)))
        return [{name: row[name] for name in self.task.inputs} for row in rows]

    @functools.cached_property
    def vectors(self) -> Vectors | None:
        """Reads what the last layer reads; None: the model has no last layer of one label a text."""
        if self.trained is None or not self.one_label:
            return None
        known = any(layer.name == HEAD for layer in self.trained.model.layers)
        return Vectors(self.trained) if known else None

    @functools.cached_property
    def train_vectors(self) -> np.ndarray:
        """(rows, width) of `train`; where there are `vectors`."""
        assert self.vectors is not None  # the caller asked
        return self.vectors(self.train)[1]

    @property
    def one_label(self) -> bool:
        """Whether an answer is one of several labels, with a probability for each."""
        return bool(self.task.judges and self.task.one_of_many and self.answers and "probabilities" in self.answers[0])
