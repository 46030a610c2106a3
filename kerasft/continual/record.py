"""What a stage leaves beside the usual files of a run: its row of the matrix, lineage.json, and its method's memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.atomic import write_atomically
from kerasft.console.terminal import Terminal
from kerasft.continual.figures import best_before, figures, losers
from kerasft.continual.lineage import parent_entry
from kerasft.continual.methods.base import MEMORY, ROWS, Method
from kerasft.continual.stage_run import StageJob
from kerasft.data.tables.digests import fingerprints
from kerasft.runs import LINEAGE
from kerasft.training.actions import Action, Measured


class Record(Action):
    """Measures a finished stage on the tests of all stages so far.

    Args:
        job: the stage.
        method: that it is learnt by.
        terminal: shows the scores.
    """

    def __init__(self, job: StageJob, method: Method[Any], terminal: Terminal):
        self.job, self.method, self.terminal = job, method, terminal
        self.losers: list[str] = []

    @property
    def forgets(self) -> bool:
        """Whether the stage's rows were forgotten instead of learnt."""
        return self.method.forgets

    def measured(self, measured: Measured) -> dict[str, Any]:
        job, folder = self.job, measured.run.folder
        row = scores_of(measured, job)
        matrix = [*map(list, job.matrix), row]
        sizes = np.bincount(job.groups, minlength=len(job.stages)).tolist()
        sizes[: len(job.untouched)] = [rows for _, rows in job.untouched]
        falls = measured.trained.task.headline in measured.trained.task.falling
        if job.gate is not None:
            best = best_before(matrix, falls)
            over = losers(matrix, job.gate, falls)
            self.losers = [f"{job.stages[stage]} {best[stage]:.4f} -> {row[stage]:.4f}" for stage in over]
        memory = folder / MEMORY
        memory.mkdir(exist_ok=True)
        self.method.keep(measured, memory)
        situation = self.method.situation
        digests = sorted(situation.digests(situation.train))
        write_atomically(memory / ROWS, json.dumps({"rows": [] if self.forgets else digests}))
        lineage = self._lineage(measured, digests)
        measured.run.write_json(LINEAGE, lineage)
        stages = [{"stage": name, "test_rows": size} for name, size in zip(job.stages, sizes)]
        section = figures(matrix, sizes, falls) | {"method": lineage["method"], "stages": stages, "lineage": lineage}
        self._say(section, matrix)
        return {"continual": {**section, **job.sections}}

    def may_export(self) -> bool:
        if self.losers:
            names = ", ".join(self.losers)
            self.terminal.line(f"gate {self.job.gate:g}: not exported: lost on the tests of {names}")
        return not self.losers

    def _lineage(self, measured: Measured, digests: Sequence[str]) -> dict[str, Any]:
        job, folder = self.job, measured.run.folder
        config = job.config.continual
        assert config is not None
        old = set(self.method.situation.old_labels)
        return (
            {
                "method": config.model_dump(mode="json", exclude={"stages", "classes", "order", "baselines"}),
                "stage": len(job.stages),
                "parents": [parent_entry(folder, run) for run in (job.parent, job.other) if run is not None],
                "data": dict(job.own) or fingerprints(job.tables),
                "rows": len(digests),
                "new_labels": [label for label in job.labels if label not in old],
            }
            | ({"root": True} if job.root else {})
            | ({"forgets": len(digests)} if self.forgets else {})
        )

    def _say(self, section: Mapping[str, Any], matrix: Sequence[Sequence[float | None]]) -> None:
        latest = ", ".join(f"{name} {score:.4f}" for name, score in zip(self.job.stages, matrix[-1]))
        forgotten = section["forgetting"]
        lost_words = "" if forgotten is None else f"; forgetting {forgotten:.4f}"
        self.terminal.line(f"stage {len(matrix)}: {latest}; all {section['final']:.4f}{lost_words}")


def scores_of(measured: Measured, job: StageJob) -> list[float]:
    """The headline of the rows of each group of the measured split."""
    task, answers = measured.trained.task, measured.answers
    if job.untouched:
        own = measured.metrics[job.measured_split][task.headline]
        return [*(score for score, _ in job.untouched), float(own)]
    if task.headline == "accuracy" and answers and {"label", "truth"} <= answers[0].keys():
        right = np.array([answer["label"] == answer["truth"] for answer in answers], float)
        return [float(right[job.groups == group].mean()) for group in range(len(job.stages))]
    scores = []
    for group in range(len(job.stages)):
        table = job.tables[job.measured_split].select(np.flatnonzero(job.groups == group))
        prepared = task.prepare(table, measured.trained.preprocessor)
        logits = measured.logits_of(prepared)
        if job.types:
            logits = without_types(logits, task.logit_names(job.labels), task.logit_names(sorted(job.types[group])))
        scores.append(float(task.metrics(prepared, logits)[task.headline]))
    return scores


def without_types(logits: np.ndarray, names: Sequence[str], kept: Sequence[str]) -> np.ndarray:
    """Logits whose answer is "no entity" wherever it was of a type that the rows were not labelled for.

    Args:
        logits: (tokens, tags), those of no entity first.
        names: of the tags.
        kept: the tags that the rows were labelled for.
    """
    hidden = [place for place, name in enumerate(names) if place and name not in kept]
    if not hidden:
        return logits
    changed = np.array(logits)
    changed[:, 0] = changed[:, [0, *hidden]].max(1)
    changed[:, hidden] = np.finfo(np.float32).min / 2
    return changed
