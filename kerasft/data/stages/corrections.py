"""`data.corrections`: answers that a person has corrected take the place of those in the data."""

from __future__ import annotations

import csv
import itertools
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.data.quality.folding import text_key
from kerasft.data.stages.base import Change, Stage, Staged, Tables
from kerasft.data.stages.normalise import Normalise
from kerasft.data.stages.redact import Redact
from kerasft.data.stages.rewriting import Rewriting
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
        rewriting = _rewriting(config)
        found = _Rows(tables, task, rewriting)
        missing_is_fine = config.data.limit is not None or config.data.shots is not None
        wanted: dict[str, dict[int, tuple[Correction, bool]]] = {split: {} for split in splits}
        left = Counter()
        for correction in corrections:
            place = found.find(correction, missing_is_fine)
            if place is None or place.split not in wanted:
                left["not in the sample" if place is None else f"of {place.split}"] += 1
                continue
            before, _ = wanted[place.split].get(place.row, (None, False))
            if before is not None and before.answer != correction.answer:
                raise UserError(
                    f"{correction.place}: says {quoted(correction.answer)} of the row at {correction.where}, and "
                    f"{before.place} {quoted(before.answer)}; keep one of them"
                )
            wanted[place.split][place.row] = correction, place.rewritten and task.places_in_texts
        after, changes = dict(tables), []
        for split, rows in wanted.items():
            after[split], changed = _corrected(tables[split], rows, split, task, rewriting)
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


def _rewriting(config: Config) -> list[Rewriting]:
    """The keys of `data.clean` that change texts, in their order: an audit of the same config shows what they wrote."""
    return [stage for stage in (Normalise(), Redact()) if stage.asked(config)]


def _rewritten(row: dict[str, Any], stages: Sequence[Rewriting], task: Task) -> dict[str, Any] | None:
    """A row as `data.clean` writes it; None where it takes the row out."""
    for stage in stages:
        form = stage.rewritten(row, task)
        if form is None:
            return None
        row = form[0]
    return row


@dataclass(frozen=True)
class _Place:
    """A row that a correction may be about, and whether it shows the row as `data.clean` writes it."""

    split: str
    row: int
    rewritten: bool


class _Rows:
    """Rows of all splits by their places and by their texts, as they are and as `data.clean` writes them."""

    def __init__(self, tables: Tables, task: Task, rewriting: Sequence[Rewriting]):
        self.by_where: dict[tuple[str, bytes], list[_Place]] = {}
        self.by_text: dict[bytes, list[_Place]] = {}
        for split, table in tables.items():
            names = table.schema.names if rewriting else [*task.source_texts, "where"]
            batches = (zip(*batch.values()) for batch in table.batches(4096, names))
            for number, values in enumerate(itertools.chain.from_iterable(batches)):
                row = dict(zip(names, values))
                self._add(_Place(split, number, False), row, task)
                other = _rewritten(row, rewriting, task)
                if other is not None and any(other[name] != row[name] for name in task.source_texts):
                    self._add(_Place(split, number, True), other, task)

    def _add(self, place: _Place, row: dict[str, Any], task: Task) -> None:
        key = _key("\n".join(row[name] for name in task.source_texts))
        for places in (self.by_where.setdefault((row["where"], key), []), self.by_text.setdefault(key, [])):
            if (place.split, place.row) not in [(other.split, other.row) for other in places]:
                places.append(place)

    def find(self, correction: Correction, missing_is_fine: bool) -> _Place | None:
        """The row that a correction is about; None: it is not there, which may be."""
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


def _corrected(
    table: Table,
    corrections: dict[int, tuple[Correction, bool]],
    split: str,
    task: Task,
    rewriting: Sequence[Rewriting],
) -> tuple[Table, list[Change]]:
    """The table with its corrected rows in place, and what was changed.

    A correction whose places count in the text that `data.clean` writes gives the row that text now.
    """
    rows, changes = {}, []
    for number, row in zip(corrections, table.rows(list(corrections))):
        correction, moved = corrections[number]
        if moved:
            row = _rewritten(row, rewriting, task)
            assert row is not None  # it was found by this form
        before = task.write_answer(row)
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
