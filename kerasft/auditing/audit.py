"""Which labels of train may be wrong, by models that did not learn from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.auditing.confident import label_issues
from kerasft.auditing.neighbours import Neighbours, nearest_rows
from kerasft.auditing.review import begin_output, check_output, write_audit
from kerasft.auditing.transitions import shared_probabilities, true_probabilities
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.cross_validation.runs import Fold, Folded
from kerasft.cross_validation.training import check_foldable, read_folded, train_folds
from kerasft.data.quality.folding import row_keys
from kerasft.errors import UserError
from kerasft.models.presets.positions import fit_max_length
from kerasft.session import Existing
from kerasft.tasks.base import Task
from kerasft.tasks.base.auditable import Judgement, Units
from kerasft.tasks.registry import create_task

# What is believed of a label: so much of it by the model, the rest by the nearest rows. Chosen on noisy_news, whose
# labels are wrong as people are (docs/data_quality.md).
MODEL_SHARE = 0.25


@dataclass(frozen=True)
class Audit:
    """What is said of each row of train, in the order of the data.

    Attributes:
        folded: the rows.
        score: (rows,) from 0 to 1, how likely the label is wrong.
        suggested: (rows,) the label that the model would give.
        confidence: (rows,) what the model believes of the label that the data give.
        neighbours: (rows,) the share of the nearest rows that have it; None: they were not asked.
        issue: (rows,) bool, what confident learning takes for wrong, or the task itself.
        figures: of the whole, for audit.json.
    """

    folded: Folded
    score: np.ndarray
    suggested: list[str]
    confidence: np.ndarray
    neighbours: np.ndarray | None
    issue: np.ndarray
    figures: dict[str, Any]


def audit_labels(
    config: Config, output: Path, *, existing: Existing = "refuse", terminal: Terminal | None = None
) -> Audit:
    """Judges every label of train out of fold, and writes labels-review.csv, audit.json and audit.jsonl.

    Args:
        config: the section `audit` says how; every row of `data.train` is judged, also those that a share would hold
            out for validation or test.
        output: the folder; the runs of the folds go to `folds/` in it, where there are any.
        existing: what becomes of an audit that is there: nothing, it goes on, or it is replaced.
        terminal: shows progress and results.

    Raises:
        UserError: the task has no labels, the config can't be trained in folds, or the folder is in use.
        Stop: as `train_run` does.
    """
    terminal = terminal or Terminal()
    task = create_task(config)
    quick = is_quick(config)
    check_auditable(config, task)
    check_output(output, config, existing)
    # Runs of an audit have no folds of their own, and rows that are corrected are judged as they are now.
    config = config.model_copy(update={"data": config.data.model_copy(update={"folds": None})})
    config = fit_max_length(config)
    folded = read_folded(config, config.audit.folds, terminal, "audit.folds")
    begin_output(output, config, existing)
    quiet_tensorflow(terminal.verbose)
    from kerasft.auditing.frozen import out_of_fold_logits, read_frozen

    frozen = None
    if quick or _asks_neighbours(config, folded):
        frozen = read_frozen(config, folded, terminal)
    if quick:
        assert frozen is not None
        terminal.line(f"audit: {folded.folds} heads, each fitted to the vectors of the unchanged preset")
        logits = out_of_fold_logits(frozen, folded.fold_of, len(folded.task.state["labels"]), terminal)
        judgement = folded.task.judge(folded.table, frozen.prepared, logits)
    else:
        folds = train_folds(config, folded, output, _of_folds(existing), terminal)
        judgement = _merged((_judged(fold, terminal) for fold in folds), folded)
    neighbours = None
    if frozen is not None and config.audit.neighbours:
        neighbours = _neighbours(folded, frozen.vectors, config.audit.neighbours)
    audit = combine(folded, judgement, neighbours)
    write_audit(output, audit, judgement, terminal)
    return audit


def is_quick(config: Config) -> bool:
    """Whether the recipe is a head on vectors that stay as they are, so that heads alone are fitted."""
    recipe = config.training.fit_head and config.model.trainable == "head"
    return config.audit.frozen or recipe


def check_auditable(config: Config, task: Task) -> None:
    """Raises UserError where the labels of a config can't be audited, before anything is read."""
    if not task.audited:
        raise UserError(
            f"task.name: {config.task.name} has no labels that can be audited; text_classification, "
            "token_classification, relation_extraction and question_answering have"
        )
    task.check_audit()
    check_foldable(config, "audit.folds")
    if config.audit.frozen and not config.task.fits_head:
        raise UserError(
            "audit.frozen: true is for text_classification with problem single_label; leave it false, and each fold "
            "is trained"
        )
    if is_quick(config) and config.model.preset is None:
        raise UserError(
            "model.preset: null; the vectors of random weights say nothing: name a preset, or train all and set "
            "audit.frozen: false"
        )


def _asks_neighbours(config: Config, folded: Folded) -> bool:
    if not config.audit.neighbours or config.model.preset is None:
        return False
    return folded.task.answer_sets(folded.table.select([0])) is not None


def _of_folds(existing: Existing) -> Existing:
    return "overwrite" if existing == "overwrite" else "resume"


def _judged(fold: Fold, terminal: Terminal) -> tuple[Fold, Judgement]:
    """What the model of a fold says of its rows."""
    from kerasft.distribution.strategy import create_strategy
    from kerasft.results import evaluate_split, evaluator_of
    from kerasft.training.microbatches import requested_microbatches

    run = fold.run
    task = create_task(run.config, run.load_state())
    strategy = create_strategy(run.config, microbatches=requested_microbatches(run.config, task))
    with strategy.scope():
        trained = run.load()
    split = trained.task.prepare(fold.table, trained.preprocessor)
    logits, _ = evaluate_split(trained, split, evaluator_of(trained, strategy), terminal, "audit")
    return fold, trained.task.judge(fold.table, split, logits)


def _merged(judged: Iterable[tuple[Fold, Judgement]], folded: Folded) -> Judgement:
    """What the models of all folds say, in the order of the data."""
    count = len(folded.table)
    doubt, suggested, wrong = np.empty(count), [""] * count, np.zeros(count, bool)
    parts: list[tuple[Units, ...]] = []
    classes: Sequence[str] = ()
    flagged = False
    for fold, judgement in judged:
        doubt[fold.rows] = judgement.doubt
        for row, label in zip(fold.rows.tolist(), judgement.suggested, strict=True):
            suggested[row] = label
        if judgement.wrong is not None:
            wrong[fold.rows], flagged = judgement.wrong, True
        classes = judgement.classes
        parts.append(tuple(Units(fold.rows[each.rows], each.given, each.probabilities) for each in judgement.units))
    units = tuple(
        Units(*(np.concatenate([getattr(each, name) for each in same]) for name in ("rows", "given", "probabilities")))
        for same in zip(*parts)
    )
    return Judgement(doubt, suggested, units, classes, wrong if flagged else None)


def _neighbours(folded: Folded, vectors: np.ndarray, count: int) -> Neighbours | None:
    task = folded.task
    sets = task.answer_sets(folded.table)
    if sets is None:
        return None
    texts = zip(*map(folded.table.column, task.source_texts))
    keys = row_keys(folded.table, task.source_texts, plain=task.without_marks)
    groups = np.unique(np.array([int.from_bytes(key[:8], "little", signed=True) for key in keys]), return_inverse=True)
    return nearest_rows(vectors, ["\n".join(task.without_marks(each)) for each in texts], sets, groups[1], count)


def combine(folded: Folded, judgement: Judgement, near: Neighbours | None) -> Audit:
    """One score for each row of what the model and the neighbours say.

    Args:
        folded: the rows.
        judgement: the model's.
        near: the neighbours; None: they were not asked.
    """
    rows = len(folded.table)
    issue, units_wrong = np.zeros(rows, bool), 0
    for units in judgement.units:
        found = label_issues(units.given, units.probabilities)
        units_wrong += int(found.sum())
        issue[units.rows[found]] = True
    if judgement.wrong is not None:
        issue |= judgement.wrong
    believed, suggested = 1.0 - judgement.doubt, list(judgement.suggested)
    shares = None if near is None else near.shares
    neighbours = None if shares is None else _of_given(judgement.units, shares, rows)
    if judgement.classes and len(judgement.units[0].rows) == rows:
        believed, likeliest = _of_one_class(judgement.units[0], near)
        suggested = np.array(judgement.classes, object)[likeliest].tolist()
    elif neighbours is not None:
        believed = MODEL_SHARE * believed + (1 - MODEL_SHARE) * neighbours
    figures = {"rows": rows, "issues": int(issue.sum()), "folds": folded.folds, "neighbours": shares is not None}
    if judgement.units:
        count = sum(len(units.rows) for units in judgement.units)
        figures |= {"units": count, "unit_issues": units_wrong}
    return Audit(folded, 1.0 - believed, suggested, 1.0 - judgement.doubt, neighbours, issue, figures)


def _of_one_class(units: Units, near: Neighbours | None) -> tuple[np.ndarray, np.ndarray]:
    """(rows,) the probability that the one class of each row is true, and the class that is most likely so."""
    probabilities = np.empty_like(units.probabilities)
    probabilities[units.rows] = units.probabilities
    given = np.empty_like(units.given)
    given[units.rows] = units.given
    if near is not None:
        probabilities = MODEL_SHARE * probabilities + (1 - MODEL_SHARE) * near.shares
    true = true_probabilities(given, probabilities)
    if near is not None:
        true = (true + shared_probabilities(given, true, near)) / 2
    return true[np.arange(len(given)), given], true.argmax(1)


def _of_given(units: tuple[Units, ...], shares: np.ndarray, rows: int) -> np.ndarray:
    """(rows,) what the neighbours say of the class that a row has; of several, of the one that they doubt most."""
    least = np.ones(rows)
    for at, each in enumerate(units):
        share = shares[each.rows, each.given] if len(units) == 1 else shares[each.rows, at]
        if len(units) > 1:  # whether a row has a label
            share = np.where(each.given == 1, share, 1.0 - share)
        np.minimum.at(least, each.rows, share)
    return least
