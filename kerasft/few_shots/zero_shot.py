"""A run without training: a pre-trained model that answers by label texts, measured, saved and exported like others."""

from __future__ import annotations

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.data.splits import sources_of, stage_splits
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.invocation import command
from kerasft.models.presets.positions import fit_max_length
from kerasft.models.presets.presets import resolve_preset
from kerasft.prompting.prompting import KEY
from kerasft.runs import Run
from kerasft.session import Existing, Outcome, export_run
from kerasft.tasks.registry import create_task


def zero_shot_run(config: Config, *, existing: Existing = "refuse", terminal: Terminal | None = None) -> Outcome:
    """Writes `runs/NAME` of a config for which nothing is trained, see `answers_untrained`: what others have, too, but
    for a report and checkpoints.

    Args:
        config: its labels are those of `task.labels`.
        existing: what becomes of a run of this name.
        terminal: shows progress and results; None: stderr and stdout.

    Returns:
        The run; its metrics have `test` where the config names a test split.

    Raises:
        UserError: see `kerasft.session.train_run`.
    """
    terminal, resume, overwrite = terminal or Terminal(), existing == "resume", existing == "overwrite"
    tables = read_test(config, terminal)
    config = fit_max_length(config)
    run = Run.plan(config, overwrite, resume)
    task = create_task(config)
    preset = resolve_preset(str(config.model.preset))
    quiet_tensorflow(terminal.verbose)
    from kerasft.assembly import assemble
    from kerasft.models.weights_digest import weights_digest

    with run.interruptible():
        assembled = assemble(config, task, preset=preset)
        section = config.prompting
        if section is not None and section.demonstrations:
            kept = task.state[KEY]
            if "candidates" in kept:
                count = len(kept["candidates"][0])
                terminal.line(
                    f"prompting: {section.demonstrations} examples of {count:,} rows for each text, by likeness"
                )
            else:
                fitting = len(kept["examples"])
                terminal.line(f"prompting: {fitting} of {section.demonstrations} examples fit into half of a row")
        run.begin(tables, resume, overwrite)
        run.save_model(assembled, task)
        training = {"steps": 0, "sha256": weights_digest(assembled.model.variables)}
        metrics = {"training": training, **measured(run, tables, terminal)}
        run.write_json("metrics.json", metrics)
        export = export_run(run, terminal, once=True) if config.export.enabled else None
        run.end()
    if export is None:
        terminal.result(f"to ask it: {command('predict', run.folder, '--input', 'texts.txt')}")
    return Outcome(run, metrics, run.folder / "model", export)


def read_test(config: Config, terminal: Terminal) -> dict[str, Table]:
    """The test split alone, or nothing where the config names no source.

    Raises:
        UserError: a share of train is asked for, or a row has a label that the config does not name.
    """
    task = create_task(config)
    task.check_config()
    if isinstance(config.data.test, float):
        raise UserError(
            f"data.test: {config.data.test} is a share of data.train, which is not trained on here; name a file"
        )
    if not sources_of(config):
        return {}
    tables = dict(stage_splits(config, task, terminal.line).tables)
    task.fit(tables)
    return {"test": tables["test"]} if "test" in tables else {}


def measured(run: Run, tables: dict[str, Table], terminal: Terminal) -> dict[str, dict]:
    """Figures of the model as it was saved; its answers are written to predictions/."""
    if "test" not in tables:
        return {}
    from kerasft.distribution.strategy import create_strategy
    from kerasft.results import evaluate_split, evaluator_of
    from kerasft.training.microbatches import requested_microbatches

    table = tables["test"]
    strategy = create_strategy(run.config, microbatches=requested_microbatches(run.config, create_task(run.config)))
    with strategy.scope():
        trained = run.load()
    prepared = trained.task.prepare(table, trained.preprocessor)
    logits, metrics = evaluate_split(trained, prepared, evaluator_of(trained, strategy), terminal, "test")
    run.write_predictions("test", trained.task.predictions(table, prepared, logits))
    terminal.table(trained.task.kind.console_table(metrics))
    return {"test": metrics}
