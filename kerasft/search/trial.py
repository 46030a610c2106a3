"""One trial: a run that says what each validation gave, and ends early where it is told to."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

from kerasft.config.schema import Config
from kerasft.console.terminal import Silent
from kerasft.data.splits import stage_splits
from kerasft.errors import Diverged, Interrupted, Pruned, Stop, StorageError
from kerasft.inference.predictor import load
from kerasft.measure import measure
from kerasft.runs import Run
from kerasft.search.job import COMPLETE, FAILED, INTERRUPTED, PRUNED, Ending, Job, Report
from kerasft.session import train_run
from kerasft.tasks.registry import create_task
from kerasft.training.actions.base import Action, Training

_TIMED = 21  # answers that a latency is the median of; the first, which builds graphs, is left out


class ReportValidations(Action):
    """Tells each validation, behind the checkpoint that has it.

    After a kill those before the checkpoint are told again: one may have been lost between the two.

    Args:
        report: gets them.
        headline: the figure that counts.
    """

    def __init__(self, report: Report, headline: str):
        self.report, self.headline = report, headline

    def begin(self, training: Training) -> None:
        super().begin(training)
        for row in training.checkpoints.progress.history:
            if "validation" in row:
                self._tell(row["step"], row["validation"])

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        self._tell(self.training.checkpoints.step, metrics)

    def _tell(self, step: int, metrics: dict[str, Any]) -> None:
        value = metrics.get(self.headline)
        if self.report(step, float("nan") if value is None else float(value), self.training.steps):
            raise Pruned(f"ended early at step {step}")


def run_job(job: Job, report: Report) -> Ending:
    """Does a job in this process, which nothing else of TensorFlow ran in before, or goes on with it."""
    try:
        if job.test:
            return Ending(COMPLETE, {"metrics": _test(job)})
        finished = (job.folder / "finished.json").is_file()
        metrics = json.loads((job.folder / "metrics.json").read_text(encoding="utf-8")) if finished else None
        return Ending(COMPLETE, _figures(job, metrics or _train(job, report)))
    except Pruned:
        return Ending(PRUNED)
    except Interrupted as error:
        return Ending(INTERRUPTED, why=str(error))
    except Diverged as error:
        return Ending(FAILED, why=f"diverged: {error}")
    except StorageError as error:
        return Ending(FAILED, why=f"storage: {error}")
    except Stop as error:
        return Ending(FAILED, why=f"refused: {error}")


def _train(job: Job, report: Report) -> dict[str, Any]:
    tables = None
    if job.rows is not job.config or isinstance(job.rows.data.test, float):
        tables = rows_without_test(job.rows)
    outcome = train_run(
        job.config,
        tables=tables,
        actions=(ReportValidations(report, job.headline),),
        existing="resume",
        terminal=Silent(),
    )
    return outcome.metrics


def rows_without_test(config: Config) -> dict[str, Any]:
    """Train and validation of a config. A test split that is a share of train is held out and thrown away."""
    tables = stage_splits(config, create_task(config), lambda line: None).tables
    return {split: table for split, table in tables.items() if split != "test"}


def _figures(job: Job, metrics: dict[str, Any]) -> dict[str, Any]:
    value = metrics["validation"].get(job.headline)
    figures = {
        "value": None if value is None else float(value),
        "steps": metrics["training"]["steps"],
        "sha256": metrics["training"]["sha256"],
        "size": 4 * metrics["model"]["parameters"],
        "data": json.loads((job.folder / "data.json").read_text(encoding="utf-8")),
    }
    return figures | ({"latency": latency_of(job.folder)} if job.latency else {})


def latency_of(folder: Path) -> float:
    """Milliseconds of an answer to one text: the median of 20, of the model as it is served by `kerasft.load`."""
    run, predictor, times = Run.open(folder), load(folder), []
    sample = create_task(run.config, run.load_state()).sample()
    for _ in range(_TIMED):
        start = time.perf_counter()
        predictor.answer({name: [text] for name, text in sample.items()})
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:])


def _test(job: Job) -> dict[str, Any]:
    """The test metrics of the run: this is where the test split is read, and nowhere else."""
    test = job.rows.data.test
    return measure(job.folder, data=None if isinstance(test, (float, int)) else test, split="test", terminal=Silent())[
        0
    ]
