"""`kerasft train --compare KEY=VALUE`: two runs of one seed, and how far their figures differ, with an interval."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically
from kerasft.augmentation_texts import make_texts
from kerasft.config.load import override_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.cross_validation.training import forget_graphs
from kerasft.data.splits import check_measured_rows, stage_splits
from kerasft.errors import UserError
from kerasft.evaluation.intervals import Resamples, paired_interval, recorded_resamples
from kerasft.runs import Run
from kerasft.session import Existing, train_run
from kerasft.tasks.registry import create_task

FILE, SECOND = "comparison.json", "-compared"


@dataclass(frozen=True)
class Side:
    """One of the two runs, as it is measured.

    Attributes:
        run: on disk.
        value: of the metric that the interval is about.
        metric: its name.
        resamples: the metric of samples of the rows, drawn by the seed.
    """

    run: Run
    value: float
    metric: str
    resamples: Resamples


def compare(
    config: Config, change: str, existing: Existing = "refuse", terminal: Terminal | None = None
) -> dict[str, Any]:
    """Trains a config and the same one with one key changed, and writes comparison.json to the first run's folder.

    The second run is called NAME-compared, and is not exported. Both are measured on the same rows, of test or else of
    validation, and the interval is that of the difference over these rows (paired bootstrap, Efron and Tibshirani
    1993): it says how much of the difference other rows could take back, not how much another seed could.

    Args:
        config: of the first run.
        change: `key=value`, as on the command line, such as `data.clean=null`.
        existing: what becomes of runs of these names, see `train_run`; `resume` goes on with what is not finished.
        terminal: shows progress and results.

    Returns:
        What comparison.json holds.

    Raises:
        UserError: the change changes nothing, other rows would be measured, or as `train_run` does.
    """
    terminal = terminal or Terminal()
    other = changed_config(config, change)
    for each in (config, other):
        check_measured_rows(each, "--compare")
        if not _is_finished(each, existing):  # refused before the first is trained
            Run.plan(each, existing == "overwrite", existing == "resume")
    split = check_same_rows(config, other, change)
    for each in (config, other):
        make_texts(each, None, terminal, keep=existing == "resume")
    sides = [_side(each, split, existing, terminal) for each in (config, other)]
    result = difference(sides[0], sides[1]) | {"change": change, "split": split, "seed": config.seed}
    write_atomically(sides[0].run.folder / FILE, json.dumps(result, indent=2, ensure_ascii=False))
    _show(result, sides[0].run.folder, terminal)
    return result


def changed_config(config: Config, change: str) -> Config:
    """The config of the second run. Raises UserError where the change is none, or one that can't be compared."""
    if config.data.folds is not None:
        raise UserError("--compare: not with data.folds; leave one of them out")
    key = change.partition("=")[0].strip()
    if key.split(".")[0] in ("name", "output", "export", "inspect", "audit", "seed"):
        raise UserError(f"--compare {change}: {key} changes nothing that is compared; name a key of data or training")
    other = override_config(config, [change])
    if other == config:
        raise UserError(f"--compare {change}: the config has that already; set {key} in it to what is to be compared")
    export = config.export.model_copy(update={"enabled": False})
    return other.model_copy(update={"name": f"{config.name}{SECOND}", "export": export})


def check_same_rows(config: Config, other: Config, change: str) -> str:
    """The split that both runs are measured on; UserError where they would be measured on different rows."""
    digests = []
    for each in (config, other):
        task = create_task(each)
        task.check_config()
        tables = stage_splits(each, task, lambda line: None).tables
        digests.append({split: tables[split].fingerprint() for split in ("test", "validation") if split in tables})
    split = "test" if all("test" in each for each in digests) else "validation"
    if digests[0][split] != digests[1][split]:
        raise UserError(
            f"--compare {change}: the runs would be measured on different rows of {split}; name a file as data.test"
        )
    return split


def _is_finished(config: Config, existing: Existing) -> bool:
    return existing == "resume" and (Path(config.output.dir) / config.name / "finished.json").is_file()


def _side(config: Config, split: str, existing: Existing, terminal: Terminal) -> Side:
    """Trains one of the runs, unless it is finished, and measures it."""
    run = Run(Path(config.output.dir) / config.name, config)
    if _is_finished(config, existing):
        terminal.line(f"{run.folder}: finished before")
    else:
        forget_graphs()
        train_run(config, existing=existing, terminal=terminal)
    from kerasft.distribution.strategy import create_strategy
    from kerasft.results import evaluate_split, evaluator_of
    from kerasft.training.microbatches import requested_microbatches

    run = Run.open(run.folder)
    task = create_task(run.config, run.load_state())
    table = stage_splits(run.config, create_task(run.config), lambda line: None).tables[split]
    strategy = create_strategy(run.config, microbatches=requested_microbatches(run.config, task))
    with strategy.scope():
        trained = run.load()
    prepared = trained.task.prepare(table, trained.preprocessor)
    with recorded_resamples() as records:
        _, metrics = evaluate_split(trained, prepared, evaluator_of(trained, strategy), terminal, split)
    (record,) = records
    name = metrics["interval"]["metric"]
    return Side(run, float(metrics[name]), name, record)


def difference(first: Side, second: Side) -> dict[str, Any]:
    """The figures of both and how far they differ, with the interval that the resampled rows give.

    Raises:
        UserError: the runs see the rows in another form, so that they can't be drawn together.
    """
    rows = first.resamples.rows
    if rows != second.resamples.rows:
        raise UserError(f"--compare: one run is measured on {rows} rows and the other on {second.resamples.rows}")
    return {
        "metric": first.metric,
        "runs": {each.run.config.name: each.value for each in (first, second)},
        "difference": first.value - second.value,
        "rows": rows,
    } | paired_interval(first.resamples, second.resamples)


def _show(result: dict[str, Any], folder: Path, terminal: Terminal) -> None:
    for name, value in result["runs"].items():
        terminal.result(f"{name}: {result['metric']} {value:.4f}")
    interval = f"[{result['low']:+.4f}, {result['high']:+.4f}]" if result["low"] is not None else "unknown"
    terminal.result(
        f"the first less the second ({result['change']}): {result['difference']:+.4f}, 95 % interval {interval} over "
        f"{result['rows']:,} rows of {result['split']}"
    )
    terminal.file("comparison", folder / FILE)
