"""A run from a run, by a method that does not train: made, saved, measured beside the other, exported."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kerasft.config.compress import CompressConfig
from kerasft.config.schema import Config
from kerasft.console.signals import ENDS, terminable
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.data.splits import stage_splits
from kerasft.data.tables.digests import changed_data, fingerprints
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.run_folder import release
from kerasft.runs import Run
from kerasft.session import Existing, Outcome, export_run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    from kerasft.assembly import Assembled
    from kerasft.compress.base import Method, Smaller

KEY = "compression"  # of metrics.json


def smaller_config(parent: Run, settings: CompressConfig) -> Config:
    """The config of the new run: that of the other with another name, which starts from the other's model.

    Raises:
        UserError: the name is the parent's own.
    """
    if settings.name == parent.config.name:
        raise UserError(f"name: {settings.name} is the name of {parent.folder} itself; choose another")
    model = parent.config.model.model_copy(
        update={
            "preset": f"run:{parent.folder}",
            "architecture": None,
            "layers": None,  # the parent's model has no others
            "peft": None,
            "trainable": "all",
        }
    )
    export = parent.config.export.model_copy(update={"name": None})  # else it would be the parent's next version
    return parent.config.model_copy(update={"name": settings.name, "model": model, "export": export})


def compress_run(
    parent: Run,
    config: Config,
    settings: CompressConfig,
    make_method: Callable[[], Method[Any]],
    existing: Existing,
    terminal: Terminal,
) -> Outcome:
    """Makes the smaller run, whole and measured; what it says of itself is in metrics.json, `compression`.

    Args:
        parent: has a trained model.
        config: of the new run.
        settings: of the command line.
        make_method: gives the method that they name, and loads TensorFlow.
        existing: what becomes of a run of this name: nothing, it is finished, or it is replaced.
        terminal: shows progress and results.

    Raises:
        UserError: for what can't be made smaller in this way; nothing has been written then.
    """
    run = Run.plan(config, existing == "overwrite", existing == "resume")
    quiet_tensorflow(terminal.verbose)
    method = make_method()
    method.check(parent)
    tables = read_tables(parent, terminal)
    task = create_task(run.config, parent.load_state())
    from kerasft.distribution.strategy import create_strategy
    from kerasft.training.microbatches import requested_microbatches

    strategy = create_strategy(run.config, microbatches=requested_microbatches(run.config, task))
    with ends_told(run), strategy.scope():
        smaller, assembled = _made(parent, method, task, tables, terminal)
    with ends_told(run):
        run.begin(tables, existing == "resume", existing == "overwrite")
        run.save_model(assembled, task)
        method.finish(run.folder / "model")
        metrics = _measured(run, tables, assembled, strategy, terminal)
        facts = {"method": settings.method, "settings": settings.model_dump(exclude={"method", "name"})}
        metrics = add_comparison(parent, run, task, tables, metrics, {**facts, **smaller.facts}, terminal)
        export = export_run(run, terminal, once=True) if run.config.export.enabled else None
        run.end()
        if export is not None:
            from kerasft.serving.formats.registry import write_formats

            write_formats(run, export.parent, terminal.result)
    return Outcome(run, metrics, run.folder / "model", export)


def read_tables(parent: Run, terminal: Terminal) -> Mapping[str, Table]:
    """The splits that a run was trained and measured on.

    Raises:
        UserError: the data is another by now.
    """
    tables = stage_splits(parent.config, create_task(parent.config), terminal.line).tables
    before, now = parent.load_json("data.json") or {}, fingerprints(tables)
    tables = {name: table for name, table in tables.items() if name in before}  # a member of an ensemble has no test
    now = {name: digest for name, digest in now.items() if name in before}
    if changed := changed_data(before, now):
        own = "; a member of an ensemble by folds has rows of its own: name a run that learnt from all of them"
        raise UserError(
            f"data.{changed[0]}: not the rows that {parent.folder} was trained on; bring them back as they were"
            + (own if parent.folder.parent.name == "members" else "")
        )
    return tables


def same_rows(one: Mapping[str, Table], other: Mapping[str, Table]) -> dict[str, Table]:
    """The splits of one run that another one has row for row, and train, whose texts say how fast both are."""
    return {
        name: table
        for name, table in one.items()
        if name == "train" or (name in other and other[name].fingerprint() == table.fingerprint())
    }


def _made(
    parent: Run, method: Method[Any], task: Task, tables: Mapping[str, Table], terminal: Terminal
) -> tuple[Smaller, Assembled]:
    """What the method makes of the run's model, and that as a model with its head."""
    from kerasft.assembly import load_model
    from kerasft.compress.base import Source
    from kerasft.compress.candidates import as_model, head_values

    loaded = load_model(parent.folder / "model", task)
    if loaded.parts:
        raise UserError(f"{parent.folder}: its model has the part {loaded.parts[0].name}, which would be lost")
    prepared = task.prepare(tables["train"], loaded.preprocessor)
    smaller = method.apply(Source(parent, loaded, tables, prepared, terminal.line))
    return smaller, as_model(task, smaller, head_values(loaded))


def _measured(
    run: Run, tables: Mapping[str, Table], assembled: Assembled, strategy: Any, terminal: Terminal
) -> dict[str, Any]:
    """Figures, predictions and report of the saved model, as training leaves them."""
    from kerasft.distribution.workers import workers_of
    from kerasft.models.parameter_counts import count_parameters
    from kerasft.models.weights_digest import weights_digest
    from kerasft.results import finish
    from kerasft.training.fit import TrainResult

    with strategy.scope():
        saved = run.load()  # as it is read again: its weights may be stored in fewer bits
    prepared = {name: saved.task.prepare(table, saved.preprocessor) for name, table in tables.items()}
    _, parameters = count_parameters(saved.model)
    training = {"steps": 0, "best_step": 0, "sha256": weights_digest(saved.model.weights)}
    model = {"preset": run.config.model.preset, "parameters": parameters}
    return finish(run, tables, TrainResult(prepared, strategy, workers_of(strategy), [], training, model), terminal)[0]


def add_comparison(
    parent: Run,
    run: Run,
    task: Task,
    tables: Mapping[str, Table],
    metrics: dict[str, Any],
    facts: Mapping[str, Any],
    terminal: Terminal,
) -> dict[str, Any]:
    """Writes `compression` to metrics.json, and shows both models side by side.

    Args:
        parent: that the run was made from.
        run: saved and measured.
        task: of both.
        tables: the splits of both; without test and validation, size and time alone are compared.
        metrics: of the run.
        facts: what the method says of itself.
        terminal: gets the table.

    Returns:
        `metrics` with the comparison.
    """
    from kerasft.compress.measures import BATCH, SINGLE, agreement, bytes_of, measure_latency
    from kerasft.compress.side_by_side import comparison_table

    split = next(name for name in ("test", "validation", "train") if name in tables)
    if split == "train":
        terminal.line(f"{run.folder} is measured on other rows than {parent.folder}: size and time alone are compared")
    # The answers to one split are written, test where there is one: a member of an ensemble has none.
    written = split == "test" or (split == "validation" and "test" not in metrics)
    latency = measure_latency(parent, run, tables[split])
    compression = {
        "parent": str(parent.folder),
        **facts,
        "bytes": bytes_of(run.folder / "model"),
        "parent_bytes": bytes_of(parent.folder / "model"),
        "speedup_batch_1": latency.speedup(SINGLE),
        "speedup_batch_32": latency.speedup(BATCH),
        "agreement": agreement(parent, run, task, split) if written else None,
        "seconds": {str(size): latency.own[size] for size in latency.own},
        "parent_seconds": {str(size): latency.parent[size] for size in latency.parent},
        "parent_score": _score(parent.load_json("metrics.json"), split, task.headline),
        "score": _score(metrics, split, task.headline),
    }
    metrics = {**metrics, KEY: compression}
    run.write_json("metrics.json", metrics)
    terminal.table(comparison_table(compression, task.headline))
    return metrics


def _score(metrics: Mapping[str, Any] | None, split: str, headline: str) -> dict[str, Any]:
    """The headline's figure with its interval."""
    figures = (metrics or {}).get(split, {})
    interval = figures.get("interval") or {}
    value = figures.get(f"{headline}_by_draw", [figures.get(headline)])[0]  # of several draws the first is the model
    return {"value": value, "low": interval.get("low"), "high": interval.get("high")}


@contextlib.contextmanager
def ends_told(run: Run) -> Iterator[None]:
    """Ctrl-C and the like say how to finish; the run's folder is given back at the end."""
    with terminable():
        try:
            yield
        except KeyboardInterrupt as error:
            kind, word = ENDS[error.args[0] if error.args else 2]
            again = f"the same command with --resume finishes {run.folder}"
            raise kind(f"{word}; {again if run.folder.exists() else 'nothing was written'}") from None
        finally:
            release(run.folder)
