"""Kept rows with the logits that the model had for them then (DER++, Buzzega et al. 2020, arXiv:2004.07211)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.continual import DarkExperienceConfig
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.kept_rows import FILE, KeptRows, drawn
from kerasft.data.tables.table import Table
from kerasft.json_lines import read_json_lines

if TYPE_CHECKING:
    import keras

    from kerasft.tasks.base import Task
    from kerasft.training.actions import Measured
    from kerasft.training.objectives.base import MakeObjective, Objective


class DarkExperience(KeptRows[DarkExperienceConfig]):
    """An epoch has the stage's own rows, and twice as many kept ones, by two independent draws.

    Those of the first draw shall have the logits that were stored with them, of the classes that were known then; those
    of the second their labels. A stored logit is never made anew.
    """

    def train(self) -> Table:
        situation = self.situation
        if situation.parent is None:
            return situation.train
        kept, new = self.kept(), len(situation.train)
        draws = [kept.select(drawn(len(kept), new, situation.config.seed, term)) for term in (0, 1)]
        return joined([situation.train, *draws])

    def objective(self) -> MakeObjective | None:
        if self.situation.parent is None:
            return None

        def make(model: keras.Model, task: Task) -> Objective:
            from kerasft.continual.methods.stored_logits import StoredLogits

            return StoredLogits(model, task, beside=self.terms())

        return make

    def terms(self) -> Mapping[str, np.ndarray]:
        """What stands beside the targets of `train`: see `StoredLogits`."""
        new, stored = len(self.situation.train), self._stored()
        first = drawn(len(stored), new, self.situation.config.seed, 0)
        width = max((len(row) for row in stored), default=0)
        logits, known = np.zeros((3 * new, width), np.float32), np.zeros((3 * new, width), np.float32)
        for row, index in enumerate(first, start=new):
            logits[row, : len(stored[index])] = stored[index]
            known[row, : len(stored[index])] = 1.0
        labels = np.repeat(np.array([1.0, 0.0, self.section.beta], np.float32), new)
        distance = np.repeat(np.array([0.0, self.section.alpha, 0.0], np.float32), new)
        return {"stored": logits, "known": known, "labels": labels, "distance": distance}

    def _stored(self) -> list[list[float]]:
        """The logits of each kept row. A parent without a buffer has none: what its model says now is taken."""
        file = self.situation.memory(FILE)
        if file is None:
            return self._logits_of_parent()
        stored = read_json_lines(file)
        return [line["logits"] for line in stored] if "logits" in stored[0] else self._logits_of_parent()

    def _logits_of_parent(self) -> list[list[float]]:
        import tensorflow as tf

        from kerasft.evaluation.evaluate import Evaluator

        assert self.situation.parent is not None
        trained = self.situation.parent.load()
        prepared = trained.task.prepare(self.kept(), trained.preprocessor)
        size = self.situation.config.training.evaluation_batch_size
        return Evaluator(trained.model, tf.distribute.get_strategy(), size).logits(prepared).tolist()

    def beside(self, measured: Measured, table: Table, chosen: Sequence[int]) -> Sequence[dict[str, Any]]:
        """Rows that were kept before keep their logits; those of new ones are the model's at this moment."""
        old = self._stored() if self.situation.parent is not None else []
        new = [row for row in chosen if row >= len(old)]
        logits: dict[int, list[float]] = dict(enumerate(old))
        if new:
            trained = measured.trained
            prepared = trained.task.prepare(table.select(new), trained.preprocessor)
            logits |= dict(zip(new, measured.logits_of(prepared).tolist()))
        return [{"logits": logits[row]} for row in chosen]
