"""What an augmentation brings: the same seed without it, both on the test and on the test with typing errors."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.augmentation.noise import with_typos
from kerasft.data.splits import check_measured_rows, load_splits
from kerasft.data.tables.table import Table
from kerasft.distribution.cluster import find_cluster
from kerasft.errors import UserError
from kerasft.evaluation.intervals import Resamples, paired_interval, recorded_resamples
from kerasft.runs import Run
from kerasft.session import Existing, Outcome, train_run
from kerasft.tasks.registry import create_task

FILE = "augmentation.json"
WITHOUT = "-without-augment"  # behind the name of the run without
TYPOS = 0.1  # of the words of the noisy test


def train_and_measure(
    config: Config,
    *,
    tables: Mapping[str, Table] | None = None,
    existing: Existing = "refuse",
    terminal: Terminal | None = None,
    **options: Any,
) -> Outcome:
    """Trains a config with its augmentation and once more without, and writes what that brought to FILE in the run.

    Args:
        config: with `augment.measure`.
        tables, existing, terminal: as in `train_run`; `existing` is about both runs.
        options: others of `train_run`, for both runs.

    Returns:
        That of the run with the augmentation, its metrics with `augmentation`: what FILE holds.

    Raises:
        UserError: as `train_run`, for either run, before the first is trained.
    """
    terminal = terminal or Terminal()
    if find_cluster(config, os.environ) is not None:
        raise UserError("augment.measure: trains a second run, for which one process is needed; set it to false here")
    check_measured_rows(config, "augment.measure")
    plain = without_augment(config)
    resume, overwrite = existing == "resume", existing == "overwrite"
    plain_done = resume and _is_finished(plain)
    if not plain_done:
        Run.plan(plain, overwrite, resume)
    options |= {"tables": tables, "terminal": terminal}
    if resume and _is_finished(config):
        run = Run.open(Path(config.output.dir) / config.name)
        outcome = Outcome(run, run.load_json("metrics.json"), run.folder / "model", None)
    else:
        outcome = train_run(config, existing=existing, **options)
    if not plain_done:
        terminal.line(f"augment.measure: the same without augmentation, as {plain.name}")
        train_run(plain, existing=existing, **options)
    gain = measured_gain(outcome.run, Run.open(Path(plain.output.dir) / plain.name), tables, terminal)
    outcome.run.write_json(FILE, gain)
    for line in lines(gain):
        terminal.result(line)
    terminal.file("gain", outcome.run.folder / FILE)
    return dataclasses.replace(outcome, metrics={**outcome.metrics, "augmentation": gain})


def without_augment(config: Config) -> Config:
    """The config of the run that an augmentation is compared with; it is not exported."""
    export = config.export.model_copy(update={"enabled": False})
    return config.model_copy(update={"augment": None, "name": config.name + WITHOUT, "export": export})


def _is_finished(config: Config) -> bool:
    return (Path(config.output.dir) / config.name / "finished.json").is_file()


def measured_gain(run: Run, plain: Run, tables: Mapping[str, Table] | None, terminal: Terminal) -> dict[str, Any]:
    """The headline of both runs on both tests, and the intervals of their differences (paired bootstrap over rows).

    Args:
        run: with augmentation.
        plain: without.
        tables: of both; None: they are read.
        terminal: shows progress.

    Returns:
        metric, split, typos; `with` and `without`: their figures on `clean` and `noisy`; `difference`: with less
        without, of both; `recovered`: the share of what typing errors cost that the augmentation won back, None where
        they cost nothing.
    """
    task = create_task(run.config)
    tables = tables or load_splits(run.config, task, terminal.line)
    split = "test" if "test" in tables else "validation"
    tests = {"clean": tables[split], "noisy": with_typos(tables[split], task, TYPOS)}
    measured = {name: _figures(each, tests, terminal) for name, each in (("with", run), ("without", plain))}
    figures = {name: {test: value for test, (value, _) in each.items()} for name, each in measured.items()}
    lost = figures["without"]["clean"] - figures["without"]["noisy"]
    won = figures["with"]["noisy"] - figures["without"]["noisy"]
    intervals = {test: paired_interval(measured["with"][test][1], measured["without"][test][1]) for test in tests}
    difference = {
        test: {"value": figures["with"][test] - figures["without"][test], "low": each["low"], "high": each["high"]}
        for test, each in intervals.items()
    }
    return {
        "metric": task.headline,
        "split": split,
        "typos": TYPOS,
        **figures,
        "difference": difference,
        "recovered": won / lost if lost else None,
    }


def _figures(run: Run, tests: Mapping[str, Table], terminal: Terminal) -> dict[str, tuple[float, Resamples]]:
    """Of each test the headline, and what it is for each resample of the rows."""
    from kerasft.distribution.strategy import create_strategy
    from kerasft.results import evaluate_split, evaluator_of
    from kerasft.training.microbatches import requested_microbatches

    strategy = create_strategy(run.config, microbatches=requested_microbatches(run.config, create_task(run.config)))
    with strategy.scope():
        trained = run.load()
    evaluator, found = evaluator_of(trained, strategy), {}
    for test, table in tests.items():
        prepared = trained.task.prepare(table, trained.preprocessor)
        with recorded_resamples() as records:
            _, metrics = evaluate_split(trained, prepared, evaluator, terminal, f"{test} test")
        found[test] = metrics[metrics["interval"]["metric"]], records[-1]
    return found


def lines(gain: Mapping[str, Any]) -> list[str]:
    """What a user is told."""
    percent = f"{gain['typos']:.0%}"
    tests = {"clean": gain["split"], "noisy": f"{gain['split']} with typing errors in {percent} of the longer words"}
    said = []
    for test, what in tests.items():
        apart = gain["difference"][test]
        low, high = apart["low"], apart["high"]
        interval = "" if low is None else f" (95 %: {low:+.4f} to {high:+.4f})"
        values = f"{gain['with'][test]:.4f} with augmentation, {gain['without'][test]:.4f} without"
        said.append(f"{gain['metric']} on {what}: {values}; {apart['value']:+.4f}{interval}")
    if gain["recovered"] is not None:
        said.append(f"of what typing errors cost, the augmentation won back {gain['recovered']:.0%}")
    return said
