"""What a run found: metrics, predictions and the report, all from the model as it was saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.console.terminal import Terminal
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.quality.inspection import inspect_tables
from kerasft.data.tables.table import Table
from kerasft.evaluation.evaluate import Evaluator
from kerasft.evaluation.report.data_summary import data_summary
from kerasft.evaluation.report.page import Report, write_report
from kerasft.evaluation.report.warnings import warnings_of
from kerasft.runs import Run, Trained
from kerasft.serving.drift import reference
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task
from kerasft.training.actions import Action, Measured
from kerasft.training.fit import TrainResult
from kerasft.training.microbatches import chosen_microbatches
from kerasft.versions import version

PACKAGES = ("kerasft", "tensorflow", "keras", "keras-hub", "tensorflow-text", "numpy")
WORST = 20  # mistakes that the report shows
# What a server watches for drift: texts like those of training, which the model has not learnt by heart.
REFERENCE_SPLIT = "validation"


def finish(
    run: Run, tables: Mapping[str, Table], fitted: TrainResult, terminal: Terminal, actions: Sequence[Action] = ()
) -> tuple[dict[str, Any], Trained]:
    """Evaluates the saved model on validation and test; the chief writes metrics.json, predictions/ and report.html.

    Returns:
        What metrics.json holds, and the model as it was loaded and measured.
    """
    with fitted.strategy.scope():
        trained = run.load()
    evaluator = evaluator_of(trained, fitted.strategy)
    metrics: dict[str, Any] = {}
    split = "test" if "test" in tables else "validation"

    def measure(name: str) -> np.ndarray:
        logits, metrics[name] = evaluate_split(trained, fitted.prepared[name], evaluator, terminal, name)
        return logits

    if fitted.left_out is None:
        logits = measure(REFERENCE_SPLIT)
    else:
        logits = fitted.left_out
        metrics[REFERENCE_SPLIT] = split_metrics(trained.task, fitted.prepared[REFERENCE_SPLIT], logits)
    watched = trained.task.watched(fitted.prepared[REFERENCE_SPLIT], logits)
    if split != REFERENCE_SPLIT:
        logits = measure(split)
    metrics |= {"training": fitted.training, "model": fitted.model, "versions": _versions()}

    def write() -> None:
        answers = list(trained.task.predictions(tables[split], fitted.prepared[split], logits))
        metrics[split] |= trained.task.answer_metrics(answers)
        for action in actions:
            metrics.update(action.measured(Measured(run, trained, fitted.prepared, evaluator.logits, metrics, answers)))
        run.write_predictions(split, answers)
        report = _report(run, trained.task, tables, fitted, metrics, answers)
        metrics["warnings"] = warnings_of(report)
        run.write_json("metrics.json", metrics)
        table = tables[REFERENCE_SPLIT]
        run.write_json(reference.FILE, reference.make_reference(trained.task, trained.preprocessor, table, watched))
        write_report(run.folder / "report.html", report)

    fitted.workers.run_on_chief(write)
    terminal.table(trained.task.kind.console_table(metrics[split]))
    for warning in metrics.get("warnings", ()):  # the chief's alone
        terminal.line(f"warning: {warning}")
    terminal.file("report", run.folder / "report.html")
    return metrics, trained


def evaluator_of(trained: Trained, strategy: tf.distribute.Strategy) -> Evaluator:
    """What gives a trained model's logits, of several splits by one graph."""
    config = trained.task.config
    parts = chosen_microbatches(config, trained.task, trained.model, strategy)
    return Evaluator(trained.model, strategy, config.training.evaluation_batch_size, trained.task.condense, parts)


def exportable(trained: Trained, strategy: tf.distribute.Strategy) -> Trained | None:
    """A model that was measured under a strategy, where an export would be the same as of one that is loaded anew.

    None where its variables are those of several replicas or of an accelerator, or where its answers were written by
    graphs of its own.
    """
    plain = isinstance(strategy, tf.distribute.OneDeviceStrategy) and not tf.config.list_physical_devices("GPU")
    return trained if plain and not trained.task.writes else None


def evaluate_split(
    trained: Trained, prepared: Prepared, evaluator: Evaluator, terminal: Terminal, name: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Logits and metrics of a split, the headline's interval among them, with a line of progress."""
    with terminal.progress(name, len(prepared), unit="examples") as line:
        logits = evaluator.logits(prepared, lambda count: line.update(count, examples=count))
    return logits, split_metrics(trained.task, prepared, logits)


def split_metrics(task: Task, prepared: Prepared, logits: np.ndarray) -> dict[str, Any]:
    """The metrics of a split by its logits, the headline's interval among them."""
    return task.metrics(prepared, logits) | {"interval": task.interval(prepared, logits)}


def _report(
    run: Run,
    task: Task,
    tables: Mapping[str, Table],
    fitted: TrainResult,
    metrics: dict[str, Any],
    answers: list[dict[str, Any]],
) -> Report:
    return Report(
        name=run.config.name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        config=run.config.model_dump(),
        versions=metrics["versions"],
        metrics={name: value for name, value in metrics.items() if name != "versions"},
        history=fitted.history,
        kind=task.kind,
        labels=list(metrics["test" if "test" in metrics else "validation"].get("per_class", ())),
        headline=task.headline,
        data_summary=data_summary(task, tables, fitted.prepared) | {"warnings": fitted.warnings},
        mistakes=task.mistakes(answers)[:WORST],
        points=task.points(answers),
        falling=task.falling,
        inspection=inspect_tables(run.config, create_task(run.config), tables),
    )


def _versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}
