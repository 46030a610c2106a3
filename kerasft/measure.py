"""The figures of a trained model, or of a preset before any training, on rows with answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.config.header import name_data_source
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.data.splits import check_own_split, load_splits, read_split
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.inference.untrained import Untrained, is_config
from kerasft.runs import Run, fingerprints
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    from kerasft.evaluation.report.kind import Kind


def measure(
    model: Path,
    overrides: Sequence[str] = (),
    *,
    data: str | Sequence[str] | None = None,
    split: str = "test",
    terminal: Terminal | None = None,
) -> tuple[dict[str, Any], Kind]:
    """The metrics of a trained model, or of a config's preset before training, and the kind of its task.

    Args:
        model: a run's folder or a config file.
        overrides: `key=value`, of a config.
        data: a source like `data.test` or several, with the same columns; None: the model's own split.
        split: of the run's own data, such as `test`; without `data`.
        terminal: shows progress; None: stderr.

    Raises:
        UserError: there is no such model or split, or a row can't be used.
    """
    terminal = terminal or Terminal()
    if overrides and not is_config(model):
        raise UserError(f"{overrides[0]}: {model} has a config of its own; overrides are for configs")
    run = Untrained.open(model, overrides) if is_config(model) else Run.open(model)
    task = create_task(run.config, run.load_state())
    if data is not None:
        table = read_split(run.config, task, data if isinstance(data, str) else list(data), "test", terminal.line)
        task.check_targets({"test": table})
    else:
        table = read_own_split(run, model, task, split, terminal)
    quiet_tensorflow(terminal.verbose)
    from kerasft.distribution.strategy import create_strategy
    from kerasft.evaluation.report.warnings import unreachable_warnings
    from kerasft.results import evaluate_split, evaluator_of
    from kerasft.training.microbatches import requested_microbatches

    strategy = create_strategy(run.config, microbatches=requested_microbatches(run.config, task))
    with strategy.scope():
        trained = run.load()
    prepared = trained.task.prepare(table, trained.preprocessor)
    warnings = unreachable_warnings({split: trained.task.unreachable(prepared)})
    for warning in warnings:
        terminal.line(f"warning: {warning}")
    logits, metrics = evaluate_split(trained, prepared, evaluator_of(trained, strategy), terminal, split)
    if trained.task.measures_answers:
        metrics |= trained.task.answer_metrics(list(trained.task.predictions(table, prepared, logits)))
    return metrics | ({"warnings": warnings} if warnings else {}), task.kind


def read_own_split(run: Run | Untrained, model: Path, task: Task, split: str, terminal: Terminal) -> Table:
    """The split of the run's own data, which has to be the one that the run held out.

    Raises:
        UserError: there is no such split, its rows are others now, or a row has a label that the model does not know.
    """
    check_own_split(run.config, split)
    with name_data_source(model if is_config(model) else model / "config.yaml"):
        tables = load_splits(run.config, create_task(run.config), terminal.line)
    if split not in tables:
        raise UserError(f"--split {split}: {model} has none; it has {', '.join(tables)}, or give --data")
    before, now = run.own_data() if isinstance(run, Run) else {}, fingerprints(tables)
    changed = [name for name, digest in now.items() if before.get(name, digest) != digest]
    wrong = ""
    if split in changed:
        share = isinstance(getattr(run.config.data, split), float)
        trained_on = ", and the model may have been trained on some" if share else ""
        wrong = (
            f"data.{split}: these are not the rows that {model} held out{trained_on}: the data has changed since; "
            "bring it back as it was, or measure on rows that the model has not seen with --data FILE"
        )
    try:
        task.check_targets({split: tables[split]})
    except UserError as error:
        raise UserError(f"{error}. {wrong}" if wrong else str(error)) from error
    if wrong:
        raise UserError(wrong)
    if changed:
        terminal.line(f"data.{', data.'.join(changed)}: changed since {model} was trained; data.{split} is as it was")
    return tables[split]
