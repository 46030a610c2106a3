"""One run as a function: trained, measured and exported. Programs, searches and applications call it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kerasft.config.header import name_data_source
from kerasft.config.schema import Config
from kerasft.console.terminal import Silent, Terminal, quiet_tensorflow
from kerasft.data.splits import check_own_split, check_unlabelled, load_splits, read_split, stage_splits
from kerasft.data.stages.base import Staged
from kerasft.data.tables.table import Table
from kerasft.distribution.cluster import find_cluster, speaking
from kerasft.distribution.rendezvous import rendezvous
from kerasft.errors import UserError
from kerasft.inference.untrained import Untrained, is_config
from kerasft.invocation import command
from kerasft.models.presets.positions import fit_max_length
from kerasft.models.presets.presets import resolve_preset
from kerasft.named_runs import check_named_runs
from kerasft.publish import publish_adapters, published, tell_how_to_serve
from kerasft.run_card import write_card
from kerasft.runs import Run, Trained, fingerprints
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:  # what a user can get wrong without a model is found before TensorFlow loads
    from kerasft.assembly import Start
    from kerasft.evaluation.report.kind import Kind
    from kerasft.training.actions import Action
    from kerasft.training.objectives.base import MakeObjective

Existing = Literal["refuse", "resume", "overwrite"]


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        run: on disk.
        metrics: what its metrics.json holds.
        model: the folder of the trained model; `run:FOLDER` as a preset starts from it.
        export: the version's folder of the SavedModel; None: the config wants none, or another worker wrote it.
    """

    run: Run
    metrics: dict[str, Any]
    model: Path
    export: Path | None


def train_run(
    config: Config,
    *,
    tables: Mapping[str, Table] | None = None,
    start: Start | None = None,
    actions: Sequence[Action] = (),
    objective: MakeObjective | None = None,
    existing: Existing = "refuse",
    terminal: Terminal | None = None,
) -> Outcome:
    """Trains a config, measures what it wrote, and exports it.

    Args:
        config: such as `load_config` returns.
        tables: train, validation and perhaps test, parsed and staged by the config's task; None: they are read.
        start: what is done to the model before it trains, such as other weights; see `kerasft.assembly.assemble`.
        actions: what happens beside the usual actions of a training; see `kerasft.training.actions`.
        objective: makes what is minimised, such as a class of `Objective`; None: what `training.objective` names.
        existing: what becomes of a run of this name: nothing, it goes on, or it is replaced.
        terminal: shows progress and results; None: stderr and stdout.

    Raises:
        UserError: for a mistake that the user can fix; nothing has been written then, as a rule.
        Stop: for another end, see `kerasft.errors`.
    """
    if config.continual and tables is None:
        raise UserError("continual: its stages are trained by kerasft.train; set it to null here")
    terminal = terminal or Terminal()
    cluster = find_cluster(config, os.environ)
    view = terminal if cluster is None or cluster.chief else Silent()
    resume, overwrite = existing == "resume", existing == "overwrite"
    with speaking(cluster), rendezvous(cluster):
        config = fit_max_length(config)
        run = Run.plan(config, overwrite, resume)
        check_named_runs(config, run.folder)
        task = create_task(config)
        task.check_config()
        staged = stage_splits(config, task, view.line) if tables is None else Staged(tables)
        task.fit(tables := staged.tables)
        check_unlabelled(config, task)
        preset = resolve_preset(config.model.preset)
        view.line(f"data: {', '.join(f'{len(table):,} {split}' for split, table in tables.items())} examples")
        for warning in task.data_warnings():
            view.line(f"warning: {warning}")

    quiet_tensorflow(terminal.verbose)
    from kerasft.distribution.workers import report_lost_workers
    from kerasft.results import exportable, finish
    from kerasft.serving.formats.registry import check_formats, write_formats
    from kerasft.training.fit import TrainingJob, fit

    with speaking(cluster), run.interruptible(), report_lost_workers(run.folder):
        record, forms = staged.record(), functools.partial(check_formats, config, task)
        job = TrainingJob(run, task, tables, preset, view, cluster, start, tuple(actions), objective, record, forms)
        fitted = fit(job, resume, overwrite)
        metrics, trained = finish(run, tables, fitted, view, job.actions)
        trained = exportable(trained, fitted.strategy)
        exports: list[Path] = []
        fitted.workers.run_on_chief(lambda: exports.extend(_complete(run, trained, view, job.actions)))
        for version in exports:  # the run is whole by now, also where it has no such form
            write_formats(run, version.parent, view.result)
        fitted.workers.final_barrier()
    return Outcome(run, metrics, run.folder / "model", exports[0] if exports else None)


def _complete(run: Run, trained: Trained | None, terminal: Terminal, actions: Sequence[Action] = ()) -> list[Path]:
    """What is left once a run is trained and measured; the export, where the config wants one and no action forbids."""
    allowed = run.config.export.enabled and all(action.may_export() for action in actions)
    exports = [export_run(run, terminal, trained=trained, once=True)] if allowed else []
    if not exports:
        terminal.result(f"to ask it: {command('predict', run.folder, '--input', 'texts.txt')}")
    run.end()
    return exports


def export_run(
    run: Run, terminal: Terminal, directory: str | None = None, trained: Trained | None = None, once: bool = False
) -> Path:
    """Exports the model as it was saved, checked, and says how to serve it.

    Args:
        run: that has been trained: its folder holds `model/`.
        terminal: gets the commands.
        directory: instead of the config's `export.dir`.
        trained: the run's model, where it is loaded already.
        once: an export of this very model that is there is enough: a run may have been killed behind it.

    Returns:
        DIR/NAME/VERSION.

    Raises:
        ServableError: the SavedModel would not be served; nothing was written.
    """
    from kerasft.serving.drift.reference import FILE, KEY
    from kerasft.serving.exporter import export as export_model

    config, identity = run.config, run.identity()
    if config.export.adapters:
        return publish_adapters(
            config.served_name, config.export, terminal, directory, identity, once, serving=config.serving
        )
    trained = trained or run.load()

    def write(target: Path) -> Path:
        facts = {"config": config.model_dump(), "state": trained.task.state, KEY: run.load_json(FILE), "run": identity}
        return export_model(trained.task, trained.preprocessor, trained.model, target, facts)

    target = Path(directory or config.export.dir) / config.served_name
    version = published(target, write, terminal, identity if once else None)
    terminal.file("card", write_card(run, target))
    tell_how_to_serve(version, trained.task.sample(), terminal)
    return version


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
