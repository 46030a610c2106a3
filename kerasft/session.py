"""One run as a function: trained, measured and exported. Programs, searches and applications call it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kerasft.config.schema import Config
from kerasft.console.terminal import Silent, Terminal, quiet_tensorflow
from kerasft.data.splits import check_unlabelled, stage_splits
from kerasft.data.stages.base import Staged
from kerasft.data.tables.table import Table
from kerasft.distribution.cluster import find_cluster, speaking
from kerasft.distribution.rendezvous import rendezvous
from kerasft.errors import UserError
from kerasft.inference.served_teacher import served_teacher
from kerasft.invocation import command
from kerasft.models.presets.positions import fit_max_length
from kerasft.models.presets.presets import resolve_preset
from kerasft.named_runs import check_named_runs
from kerasft.publish import publish_adapters, published, tell_how_to_serve
from kerasft.run_card import write_card
from kerasft.runs import Run, Trained
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:  # what a user can get wrong without a model is found before TensorFlow loads
    from kerasft.assembly import Start
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
        server = served_teacher(config, task, view, run.folder if resume else None)
        preset = resolve_preset(config.model.preset)
        _tell_data(tables, task, view)

    quiet_tensorflow(terminal.verbose)
    from kerasft.distribution.workers import report_lost_workers
    from kerasft.results import exportable, finish
    from kerasft.serving.formats.registry import check_formats, write_formats
    from kerasft.training.fit import TrainingJob, fit

    with speaking(cluster), run.interruptible(), report_lost_workers(run.folder):
        record, form = staged.record(), functools.partial(check_formats, config, task)
        job = TrainingJob(
            run, task, tables, preset, view, cluster, start, tuple(actions), objective, server, record, form
        )
        fitted = fit(job, resume, overwrite)
        metrics, trained = finish(run, tables, fitted, view, job.actions)
        trained = exportable(trained, fitted.strategy)
        exports: list[Path] = []
        fitted.workers.run_on_chief(lambda: exports.extend(_complete(run, trained, view, job.actions)))
        for version in exports:  # the run is whole by now, also where it has no such form
            write_formats(run, version.parent, view.result)
        fitted.workers.final_barrier()
    return Outcome(run, metrics, run.folder / "model", exports[0] if exports else None)


def _tell_data(tables: Mapping[str, Table], task: Task, terminal: Terminal) -> None:
    terminal.line(f"data: {', '.join(f'{len(table):,} {split}' for split, table in tables.items())} examples")
    for warning in task.data_warnings():
        terminal.line(f"warning: {warning}")


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
