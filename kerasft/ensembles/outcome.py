"""What an ensemble comes to: shares, figures beside those of its members, and one SavedModel."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.atomic import write_atomically
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.table import Table
from kerasft.ensembles.combined import Ensemble, Members, as_of, exported_task, load_members, mixture_weights
from kerasft.ensembles.plan import MEAN, STACKING, VOTE, Settings, folder_of
from kerasft.evaluation.evaluate import Evaluator
from kerasft.evaluation.report.page import Report, write_report
from kerasft.runs import Run
from kerasft.serving.bundle import write_bundle
from kerasft.serving.drift import reference
from kerasft.serving.exporter import export
from kerasft.session import train_run
from kerasft.tasks.base import TOKEN_IDS, Task
from kerasft.training.objectives.distillation import Distillation
from kerasft.training.objectives.teachers import ENSEMBLE

METRICS = "metrics.json"


class Outcome:
    """An ensemble of loaded runs, measured on a config's splits.

    Args:
        config: of the ensemble.
        task: has learnt from the rows; its thresholds are chosen anew here.
        tables: validation and perhaps test.
        runs: of the members.
        settings: how they are joined.
        terminal: shows progress.
    """

    def __init__(
        self,
        config: Config,
        task: Task,
        tables: Mapping[str, Table],
        runs: Sequence[Run],
        settings: Settings,
        terminal: Terminal,
    ):
        self.config, self.task, self.tables, self.runs = config, task, tables, list(runs)
        self.settings, self.terminal = settings, terminal
        self.members: Members = load_members(runs)
        for key in TOKEN_IDS:  # what an adapted tokenizer knows, which is that of each member
            if key in self.members.tasks[0].state:
                task.state[key] = self.members.tasks[0].state[key]
        equal = [1.0 / len(runs)] * len(runs)
        self.model = Ensemble(self.members, task, equal, settings.combine == VOTE)

    def measure(self) -> dict[str, Any]:
        """Chooses shares and thresholds on validation; figures of each split, and the headline of each member.

        Returns:
            What metrics.json holds.
        """
        metrics: dict[str, Any] = {}
        splits = [split for split in ("validation", "test") if split in self.tables]
        self.prepared = {split: self.task.prepare(self.tables[split], self.members.preprocessor) for split in splits}
        self.logits: dict[str, np.ndarray] = {}
        for split in splits:
            prepared = self.prepared[split]
            every = self._logits(self.model.every, prepared, split)
            self.logits[split], members = every[..., 0], [every[..., place] for place in range(1, every.shape[-1])]
            if split == "validation":
                if self.settings.combine == STACKING:
                    self.logits[split] = self._stacked(members, prepared)
                self.task.tune(prepared, self.logits[split])
            metrics[split] = self.task.metrics(prepared, self.logits[split])
            metrics[split]["interval"] = self.task.interval(prepared, self.logits[split])
            metrics[split]["members"] = [self._member(*each, split) for each in enumerate(members)]
        return metrics

    def _logits(self, model: Any, prepared: Prepared, name: str) -> np.ndarray:
        size = self.config.training.evaluation_batch_size
        condense = self.task.condense
        if model == self.model.every:
            condense = lambda logits, targets: tf.stack(  # noqa: E731
                [self.task.condense(each, targets) for each in tf.unstack(logits, axis=-1)], -1
            )
        evaluator = Evaluator(model, tf.distribute.get_strategy(), size, condense)
        with self.terminal.progress(name, len(prepared), unit="examples") as line:
            return evaluator.logits(prepared, lambda count: line.update(count, examples=count))

    def _member(self, place: int, logits: np.ndarray, split: str) -> dict[str, Any]:
        """The headline figure of one member, by the thresholds that it has itself."""
        run, task = self.runs[place], self.members.tasks[place]
        prepared = task.prepare(self.tables[split], self.members.preprocessor)
        return {"run": str(run.folder), task.headline: task.metrics(prepared, logits)[task.headline]}

    def _stacked(self, members: Sequence[np.ndarray], validation: Prepared) -> np.ndarray:
        """The ensemble's logits of validation, by the shares that are learnt from it."""
        tasks = self.members.tasks
        in_order = [as_of(self.task, tf.constant(each), task.state) for each, task in zip(members, tasks)]
        self.model.shares = self._learnt_shares(in_order, validation)
        return self.task.joined_logits(in_order, self.model.shares, {}).numpy()

    def _learnt_shares(self, members: Sequence[tf.Tensor], validation: Prepared) -> list[float]:
        """Of stacking: by the probability that each member gives to the truth of rows that none has seen."""
        truth = []
        for logits in members:
            targets = np.asarray(validation.targets).reshape(-1)
            known = (targets >= 0) & (targets < logits.shape[-1])
            probabilities = tf.nn.softmax(logits).numpy()
            truth.append(probabilities[np.flatnonzero(known), targets[known]])
        return mixture_weights(np.stack(truth, 1))

    def write(self, metrics: dict[str, Any]) -> None:
        """metrics.json, predictions/, report.html, and last ensemble.json: with it the ensemble is whole."""
        folder, split = folder_of(self.config), "test" if "test" in self.tables else "validation"
        run = Run(folder, self.config)
        answers = list(self.task.predictions(self.tables[split], self.prepared[split], self.logits[split]))
        if self.task.measures_answers:
            metrics[split] |= self.task.answer_metrics(answers)
        run.write_predictions(split, answers)
        run.write_json(METRICS, metrics)
        report = Report(
            name=self.config.name,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            config=self.config.model_dump(),
            metrics=metrics,
            kind=self.task.kind,
            labels=list(metrics[split].get("per_class", ())),
            headline=self.task.headline,
            mistakes=self.task.mistakes(answers)[:20],
            points=self.task.points(answers),
            falling=self.task.falling,
        )
        write_report(folder / "report.html", report)
        write_atomically(folder / ENSEMBLE, json.dumps(self.record(), indent=2, ensure_ascii=False))
        self.terminal.table(self.task.kind.console_table(metrics[split]))
        figures = [member[self.task.headline] for member in metrics[split]["members"]]
        mean, best = float(np.mean(figures)), metrics[split][self.task.headline]
        self.terminal.line(f"{self.task.headline} on {split}: ensemble {best:.4f}, its members {mean:.4f} in the mean")
        self.terminal.file("report", folder / "report.html")

    def record(self) -> dict[str, Any]:
        """What ensemble.json holds: how it is made, and which runs by the digest of their training."""
        return {
            "combine": self.settings.combine,
            "members": [{"run": str(run.folder), **(run.identity() or {})} for run in self.runs],
            "shares": self.model.shares,
            "state": self.task.state,
            "shared_backbones": self.members.shared,
        }

    def export(self) -> Path | None:
        """One SavedModel with all members, checked as each export is; None: `export.enabled` is false."""
        if not self.config.export.enabled:
            return None
        name = self.config.served_name
        target = Path(self.config.export.dir) / name
        watched = self.task.watched(self.prepared["validation"], self.logits["validation"])
        preprocessor = self.members.preprocessor
        known = reference.make_reference(self.task, preprocessor, self.tables["validation"], watched)
        digest = hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()
        metadata = {
            "config": self.config.model_dump(),
            "state": self.task.state,
            reference.KEY: known,
            "run": {"id": digest[:32], "sha256": digest},
            "ensemble": self.record(),
        }
        with self.terminal.progress("export", 1, unit="servable") as line:
            version = export(exported_task(self.task), preprocessor, self.model, target, metadata)
            line.update(1)
        for file in write_bundle(target, name, int(version.name), self.task.sample()):
            self.terminal.line(f"{target}: {file} changed by hand, so it stays; see {file}.new beside it")
        self.terminal.result(f"export: {version}")
        return version

    def distil(self, alpha: float, temperature: float) -> Run:
        """One model of the config's preset that learns what the ensemble says of train; it exports as any run."""
        name = f"{self.config.name.removesuffix('-ensemble')}-distilled"
        served = self.config.export.name  # which is the ensemble's
        export = self.config.export.model_copy(update={"name": served and f"{served}-distilled"})
        config = self.config.model_copy(update={"name": name, "export": export})

        def teacher(train: Prepared) -> np.ndarray:
            return self._logits(self.model, train, "teacher")

        make = functools.partial(Distillation, teacher=teacher, alpha=alpha, temperature=temperature)
        outcome = train_run(config, tables=self.tables, objective=make, existing="resume", terminal=self.terminal)
        return outcome.run


__all__ = ["ENSEMBLE", "MEAN", "METRICS", "Outcome"]
