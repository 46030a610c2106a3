"""The files of an audit: a table for people to go through, and what it is made of."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.atomic import write_atomically
from kerasft.config.differences import check_same_config
from kerasft.config.load import dump_config, load_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.errors import UserError
from kerasft.session import Existing

if TYPE_CHECKING:
    from kerasft.auditing.audit import Audit
    from kerasft.tasks.base.auditable import Judgement

REVIEW, FIGURES, DETAILS, CONFIG = "labels-review.csv", "audit.json", "audit.jsonl", "config.yaml"
MATRIX = "probabilities.npz"
COLUMNS = ("where", "text", "label", "suggested", "score")
SHOWN = 5  # rows on the terminal


def check_output(folder: Path, config: Config, existing: Existing) -> None:
    """Checks that an audit may be written to a folder; nothing is written or removed yet.

    Raises:
        UserError: it holds an audit that is not to be replaced, something else, one of another config, or the
            corrections that the config reads.
    """
    if folder.is_dir() and any(folder.iterdir()):
        is_audit = (folder / CONFIG).is_file()
        if not is_audit:
            raise UserError(f"--output: {folder} holds something else; name a new folder")
        if existing == "refuse":
            raise UserError(f"--output: {folder} holds an audit; name another folder, or add --resume or --overwrite")
        if existing == "overwrite":
            _check_corrections_stay(folder, config)
        elif (folder / REVIEW).is_file():
            raise UserError(f"--output: the audit in {folder} is finished; there is nothing to resume")
        else:
            check_same_config(load_config(folder / CONFIG).model_dump(mode="json"), config, folder)
    elif folder.exists() and not folder.is_dir():
        raise UserError(f"--output: {folder} is a file; name a folder")


def _check_corrections_stay(folder: Path, config: Config) -> None:
    """Raises UserError where the labels that a person has corrected would be removed with an audit."""
    corrections = config.data.corrections
    if corrections is not None and folder.resolve() in Path(corrections.file).resolve().parents:
        raise UserError(
            f"--overwrite: {folder} holds {corrections.file}, which data.corrections reads; name another folder"
        )


def begin_output(folder: Path, config: Config, existing: Existing) -> None:
    """Marks a folder as that of an audit of this config, and removes the audit that `overwrite` replaces."""
    if existing == "overwrite" and folder.is_dir():
        shutil.rmtree(folder)
    write_atomically(folder / CONFIG, dump_config(config))


def write_audit(folder: Path, audit: Audit, judgement: Judgement, terminal: Terminal) -> None:
    """Writes labels-review.csv (every row, worst first), audit.jsonl (why, in the order of the data) and audit.json.

    Where a row has one class, probabilities.npz has the out-of-fold matrix that confident learning read: `given`
    (rows,), `probabilities` (rows, classes) and `classes`, in the order of the data.
    """
    if judgement.classes:
        units = judgement.units[0]
        order = np.argsort(units.rows, kind="stable")
        np.savez_compressed(
            folder / MATRIX,
            given=units.given[order],
            probabilities=units.probabilities[order].astype(np.float64),
            classes=np.array(judgement.classes, str),
        )
    order = np.lexsort((np.arange(len(audit.score)), -audit.score))
    write_atomically(folder / DETAILS, "".join(_details(audit)))
    write_atomically(folder / FIGURES, json.dumps(audit.figures, indent=2, ensure_ascii=False))
    write_atomically(folder / REVIEW, _table(audit, order))  # the last: an audit that has it is finished
    rows, issues = audit.figures["rows"], audit.figures["issues"]
    terminal.result(f"{issues:,} of {rows:,} labels are probably wrong; the worst:")
    task = audit.folded.task
    for row in audit.folded.table.rows(order[:SHOWN]):
        terminal.result(f"  {row['where']}: {' '.join(task.write_answer(row).split())}")
    terminal.file("to go through", folder / REVIEW)
    terminal.result(f"to use it: correct its column label, then data.corrections: {folder / REVIEW}")


def _table(audit: Audit, order: np.ndarray) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    task = audit.folded.task
    for start in range(0, len(order), 4096):
        part = order[start : start + 4096]
        for number, row in zip(part.tolist(), audit.folded.table.rows(part)):
            text_of_row = "\n".join(row[name] for name in task.source_texts)
            suggested, score = audit.suggested[number], f"{audit.score[number]:.4f}"
            writer.writerow([row["where"], text_of_row, task.write_answer(row), suggested, score])
    return text.getvalue()


def _details(audit: Audit) -> Iterator[str]:
    """A line for each row, in the order of the data."""
    folds = audit.folded.fold_of + 1
    for number, where in enumerate(audit.folded.table.column("where")):
        line: dict[str, Any] = {
            "where": where,
            "fold": int(folds[number]),
            "score": round(float(audit.score[number]), 6),
            "confidence": round(float(audit.confidence[number]), 6),
        }
        if audit.neighbours is not None:
            line["neighbours"] = round(float(audit.neighbours[number]), 6)
        line["issue"] = bool(audit.issue[number])
        yield json.dumps(line, ensure_ascii=False) + "\n"
