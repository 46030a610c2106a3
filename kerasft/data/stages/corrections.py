"""`data.corrections`: answers that a person has corrected take the place of those in the data."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.folding import text_key
from kerasft.data.stages.base import Change, Stage, Staged, Tables
from kerasft.data.stages.cleaning import Cleaning
from kerasft.data.stages.normalise import Normalise
from kerasft.data.stages.redact import Redact
from kerasft.errors import BadRow, UserError
from kerasft.quoting import quoted

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

NEEDED = ("where", "text")


@dataclass(frozen=True)
class Correction:
    """One line of the file.

    Attributes:
        place: FILE:LINE of it.
        where: FILE:LINE of the row that it is about.
        key: of its texts.
        answer: the right one, as `Task.write_answer` writes one.
    """

    place: str
    where: str
    key: bytes
    answer: str


class Corrections(Stage):
    """Rows of train, and of validation where it is a share of train, get the answer that the file has.

    A row is named by its place and its texts; where it has moved, by its texts, if no other row has the same. Test
    stays as it is: a corrected test would measure another thing.
    """

    name = "corrections"

    def applies(self, config: Config) -> bool:
        return config.data.corrections is not None

    def check(self, config: Config, task: Task) -> None:
        if not task.audited:
            raise UserError(f"data.corrections: {config.task.name} has no labels that can be corrected; leave it null")

    def apply(self, tables: Tables, config: Config, task: Task) -> Staged:
        settings = config.data.corrections
        assert settings is not None  # `applies`
        corrections = read_corrections(Path(settings.file), settings.column)
        splits = ["train", *(["validation"] if isinstance(config.data.validation, float) else [])]
        splits = [split for split in splits if split in tables]
        found = _Rows(tables, task, _rewriting(config))
        missing_is_fine = config.data.limit is not None or config.data.shots is not None
        wanted: dict[str, dict[int, Correction]] = {split: {} for split in splits}
        left = Counter()
        for correction in corrections:
            place = found.find(correction, missing_is_fine)
            if place is None or place[0] not in wanted:
                left["not in the sample" if place is None else f"of {place[0]}"] += 1
                continue
            split, row = place
            before = wanted[split].get(row)
            if before is not None and before.answer != correction.answer:
                raise UserError(
                    f"{correction.place}: says {quoted(correction.answer)} of the row at {correction.where}, and "
                    f"{before.place} {quoted(before.answer)}; keep one of them"
                )
            wanted[split][row] = correction
        after, changes = dict(tables), []
        for split, rows in wanted.items():
            after[split], changed = _corrected(tables[split], rows, split, task)
            changes.extend(changed)
        counts = {self.name: {"action": settings.column, "rows": len(changes)}}
        return Staged(after, tuple(changes), counts, (_remark(settings.column, corrections, changes, left),))


def read_corrections(path: Path, column: str) -> list[Correction]:
    """The lines of a file of corrections.

    Args:
        path: a CSV file with the columns where, text and `column`.
        column: that has the right answers.

    Raises:
        UserError: there is no such file, or it lacks a column.
    """
    csv.field_size_limit(sys.maxsize)  # an answer in its context may be long
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in (*NEEDED, column) if name not in (reader.fieldnames or ())]
            if lacking:
                raise UserError(
                    f"data.corrections.file: {path} has no column {lacking[0]!r}; it needs where, text and {column}, "
                    "with commas between them, as kerasft audit-labels writes it"
                )
            lines = []
            for row in reader:
                place = f"{path}:{reader.line_num}"
                if None in row or None in row.values():
                    raise UserError(f"{place}: has more or fewer fields than the header; put quotes around the text")
                lines.append(Correction(place, row["where"], _key(row["text"]), row[column]))
            return lines
    except OSError as error:
        raise UserError(f"data.corrections.file: {path}: {error.strerror or error}; check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"data.corrections.file: {path} is not UTF-8; save it as UTF-8 CSV") from error
    except csv.Error as error:
        raise UserError(f"data.corrections.file: {path}: {error}; save it as CSV") from error


def _key(text: str) -> bytes:
    """Equal where texts are, whatever a spreadsheet does to line ends and blanks."""
    return text_key([" ".join(text.split())], str)


def _rewriting(config: Config) -> list[Cleaning]:
    """The keys of `data.clean` that change texts, in their order: an audit of the same config shows what they wrote."""
    stages = [stage for stage in (Normalise(), Redact()) if stage.applies(config)]
    return [stage for stage in stages if stage.action(config) in stage.rewrites]


def _rewritten(texts: Sequence[str], stages: Sequence[Cleaning]) -> list[str]:
    result = list(texts)
    for stage in stages:
        result = [stage.rewrite(text)[0] for text in result]
    return result


class _Rows:
    """Rows of all splits by their places and by their texts, as they are and as `data.clean` writes them."""

    def __init__(self, tables: Tables, task: Task, rewriting: Sequence[Cleaning]):
        self.by_where: dict[tuple[str, bytes], list[tuple[str, int]]] = {}
        self.by_text: dict[bytes, list[tuple[str, int]]] = {}
        for split, table in tables.items():
            texts = zip(*map(table.column, task.source_texts))
            for row, (where, each) in enumerate(zip(table.column("where"), texts)):
                for key in {_key("\n".join(form)) for form in (each, _rewritten(each, rewriting))}:
                    self.by_where.setdefault((where, key), []).append((split, row))
                    self.by_text.setdefault(key, []).append((split, row))

    def find(self, correction: Correction, missing_is_fine: bool) -> tuple[str, int] | None:
        """The split and number of the row that a correction is about; None: it is not there, which may be."""
        rows = self.by_where.get((correction.where, correction.key)) or self.by_text.get(correction.key, [])
        if len(rows) == 1:
            return rows[0]
        if not rows and missing_is_fine:
            return None
        what = f"{len(rows)} rows with this text" if rows else "no row with this text"
        raise UserError(
            f"{correction.place}: there is {what}{' and none of them' if rows else ''} at {correction.where}; the "
            "data have changed since the audit: audit them again, or remove this line"
        )


def _corrected(table: Table, corrections: dict[int, Correction], split: str, task: Task) -> tuple[Table, list[Change]]:
    """The table with its corrected rows in place, and what was changed."""
    rows, changes = {}, []
    for number, row in zip(corrections, table.rows(list(corrections))):
        correction, before = corrections[number], task.write_answer(row)
        try:
            new = {**row, **task.read_answer(correction.answer, row)}
        except BadRow as error:
            raise UserError(f"{correction.place}: {error}") from error
        if (after := task.write_answer(new)) != before:
            rows[number] = new
            changes.append(Change(split, row["where"], "corrections", what=f"{before} -> {after}"))
    return (table.replace(rows), changes) if rows else (table, changes)


def _remark(column: str, corrections: list[Correction], changes: list[Change], left: Counter[str]) -> str:
    line = f"data.corrections: {len(changes):,} answers changed by {len(corrections):,} lines of the file"
    if not changes:
        other = "edit its column label, or set data.corrections.column: suggested"
        line += f": its column {column} says what the data say" + (f"; {other}" if column == "label" else "")
    return line + "".join(f"; {count:,} rows {what}, left alone" for what, count in left.items())
