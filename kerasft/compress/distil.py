"""`method=distil`: a smaller model is trained to give what the run gives.

The student starts from some of its teacher's layers and its head (Sanh et al. 2019, arXiv:1910.01108), or from another
preset. It learns the teacher's probabilities beside the truth; see `kerasft.training.objectives.distillation`. The
student's config says all of it, so it can be resumed, replayed and trained again like any other run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kerasft.compress.compression import KEY, add_comparison, ends_told, read_tables, same_rows, smaller_config
from kerasft.config.compress import CompressConfig, DistilConfig
from kerasft.config.data import LEAVE_ONE_OUT
from kerasft.config.load import override_config
from kerasft.config.schema import Config, TrainingConfig
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.models.presets.facts import facts_file
from kerasft.paths import is_address
from kerasft.runs import Run
from kerasft.session import Existing, Outcome, train_run
from kerasft.tasks.registry import create_task

RUN = "run:"
FEW_VALIDATED = 0.25  # of a few rows


def student_config(parent: Run, settings: DistilConfig, overrides: Sequence[str]) -> Config:
    """The run's config with another name, fewer layers, and as its objective the teacher, which is the run by default.

    Raises:
        UserError: the student would be its teacher, or the task takes no teacher.
    """
    base = smaller_config(parent, settings)
    values: dict[str, Any] = base.model_dump(mode="python")
    other = any(word.partition("=")[0].strip() == "model.preset" for word in overrides)
    taught = settings.teacher  # by another than the run itself
    if taught is not None and not is_address(taught) and Path(taught).resolve() == parent.folder.resolve():
        taught = None
    if settings.layers is None and taught is None and not other:
        raise UserError(
            "layers: missing, and without it the student would be its teacher; write for example layers=3, or name "
            "another model: model.preset=..."
        )
    values["model"]["layers"] = settings.layers
    values["training"]["objective"] = {
        "name": "distillation",
        "teacher": settings.teacher or str(parent.folder),
        **settings.model_dump(include={"alpha", "temperature", "hidden", "relations", "unlabelled"}),
    }
    if parent.config.training.fit_head:
        _take_steps(values, named=any(word.startswith("data.validation=") for word in overrides))
    return override_config(values, overrides)  # which says in a line what the parent's config can't go with


def _take_steps(values: dict[str, Any], named: bool) -> None:
    """What a config of a fitted head has and a student has not: a student learns by steps.

    A few rows of which each was answered by a head without it (`leave_one_out`) give a quarter to validation.

    Args:
        values: of the student's config.
        named: the command line says what validates.

    Raises:
        UserError: a quarter is none.
    """
    training, data = values["training"], values["data"]
    training |= {"fit_head": False, "contrastive": None, "self_training": None}
    if training["steps"] == 0:
        training |= {"steps": None, "epochs": TrainingConfig.model_fields["epochs"].default}
    if values["prompting"] is not None:  # by embeddings, whose vectors have length 1
        values["prompting"] = None
        values["task"] |= {"pooling": "unit", "label_texts": None}
    if data["validation"] == LEAVE_ONE_OUT and not named:
        if data["shots"] * FEW_VALIDATED < 1:
            raise UserError(
                f"data.validation: {data['shots']} rows of a label leave none to validate a student on; name a file: "
                "data.validation=FILE"
            )
        data |= {"validation": FEW_VALIDATED, "draws": 1}


def distil_run(
    parent: Run, settings: DistilConfig, overrides: Sequence[str], existing: Existing, terminal: Terminal
) -> Outcome:
    """Trains the student, measures it, and compares it with the run that it comes from.

    Args:
        parent: that it begins with, and the teacher, unless the settings name another.
        settings: of the command line.
        overrides: `key=value` of the config.
        existing: what becomes of a run of this name; one that was trained and not yet compared is compared.
        terminal: shows progress and results.

    Raises:
        UserError: see `train_run` and `student_config`.
    """
    return compared_run(parent, settings, student_config(parent, settings, overrides), existing, terminal)


def compared_run(
    parent: Run,
    settings: CompressConfig,
    config: Config,
    existing: Existing,
    terminal: Terminal,
    finish: Callable[[Path], None] = lambda folder: None,
) -> Outcome:
    """Trains a run from a run, and compares both.

    Args:
        parent: that it comes from; its head is the start where the new backbone is the parent's.
        settings: of the command line.
        config: of the new run.
        existing: what becomes of a run of this name; one that was trained and not yet compared is compared.
        terminal: shows progress and results.
        finish: what is done to the saved model's folder.

    Raises:
        UserError: see `train_run`.
    """
    tables = read_tables(parent, terminal)
    # Other rows, or others of them validate; or the parent was not measured on test, as a member of an ensemble.
    others = config.data != parent.config.data or (config.data.test is not None and "test" not in tables)
    run = Run(Path(config.output.dir) / config.name, config)
    metrics = run.load_json("metrics.json") if existing == "resume" else None
    if metrics is None or KEY in metrics or not (run.folder / "finished.json").is_file():
        start = _start(parent, config)
        own = None if others else tables
        outcome = train_run(config, tables=own, start=start, existing=existing, terminal=terminal)
        metrics, export = outcome.metrics, outcome.export
    else:
        quiet_tensorflow(terminal.verbose)
        export = None
    facts = {"method": settings.method, "settings": settings.model_dump(exclude={"method", "name"})}
    with ends_told(run):
        finish(run.folder / "model")
        task = create_task(config, run.load_state())
        if others:
            tables = same_rows(tables, load_splits(config, create_task(config), terminal.line))
        metrics = add_comparison(parent, run, task, tables, metrics, facts, terminal)
    return Outcome(run, metrics, run.folder / "model", export)


def _start(parent: Run, config: Config) -> Any:
    """The head of the run that the student's backbone comes from; None: its own, where that is another model."""
    preset = config.model.preset or ""
    folder = Path(preset.removeprefix(RUN)) / "model"
    if not preset.startswith(RUN) or not facts_file(folder).is_file():
        return None
    from kerasft.assembly import load_facts
    from kerasft.training.starts import head_of_run

    facts = load_facts(folder)
    same = facts["task"] == config.task.name and facts["state"].get("labels") == parent.load_state().get("labels")
    return head_of_run(folder) if same else None
