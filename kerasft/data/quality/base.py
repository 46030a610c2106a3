"""What an inspection looks at, what it finds, and the contract of one check."""

from __future__ import annotations

import abc
import functools
import types
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.data.quality.folding import row_keys

if TYPE_CHECKING:  # tasks lie above: the contract is all that is known here; tables call this folder
    from kerasft.data.sources.decoding import Decoding
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

LEVELS = ("info", "warning", "error")
MOST_ROWS = 200  # of a finding that are named and shown; all are counted


@dataclass(frozen=True)
class Example:
    """A row behind a count: its place, what it says, and what else is to be known of it."""

    where: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that an inspection found in a split.

    Attributes:
        kind: of it, a name that stays the same from version to version.
        split: train, validation or test.
        count: rows, or whatever `what` says.
        level: of `LEVELS`.
        what: a sentence that begins with the count.
        fix: the line of a config that fixes it, or what to do; "" where there is nothing to be done.
        rows: the first of those that are counted.
        detail: further figures, by name.
    """

    kind: str
    split: str
    count: int
    level: str
    what: str
    fix: str = ""
    rows: tuple[Example, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        return {
            "kind": self.kind,
            "split": self.split,
            "count": self.count,
            "level": self.level,
            "where": [row.where for row in self.rows],
            "what": self.what,
            "fix": self.fix,
            **self.detail,
        }


@dataclass(frozen=True)
class BrokenRow:
    """A row that the task can't read."""

    split: str
    where: str
    kind: str
    message: str


class SplitRows:
    """The rows of a split as checks read them; columns are read once.

    Args:
        name: train, validation or test.
        table: its rows.
        task: that parsed them.
    """

    def __init__(self, name: str, table: Table, task: Task):
        self.name, self.table, self.task = name, table, task
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> list[Any]:
        """Every value of a column, in row order."""
        if name not in self._columns:
            self._columns[name] = self.table.column(name)
        return self._columns[name]

    @functools.cached_property
    def wheres(self) -> list[str]:
        """FILE:LINE of each row."""
        return self.column("where")

    @functools.cached_property
    def texts(self) -> list[tuple[str, ...]]:
        """All texts of each row, with what is to be written where that is a text."""
        return list(zip(*map(self.column, self.task.texts)))

    @functools.cached_property
    def read_texts(self) -> list[tuple[str, ...]]:
        """The texts of each row that its answer belongs to, as a reader sees them."""
        return list(map(self.task.without_marks, zip(*map(self.column, self.task.source_texts))))

    @functools.cached_property
    def keys(self) -> list[bytes]:
        """Equal where the texts of rows are the same."""
        return row_keys(self.table, self.task.source_texts)

    @functools.cached_property
    def answers(self) -> Sequence[Hashable] | None:
        """The answer of each row in a form in which equal ones are equal; None where rows have none."""
        return self.task.row_answers(self.table)

    def example(self, row: int, note: str = "") -> Example:
        """A row as a finding shows it."""
        return Example(self.wheres[row], "\n".join(self.texts[row]), note or self.answer(row))

    def answer(self, row: int) -> str:
        """The answer of a row in words; "" where it has none."""
        if "label" not in self.table.schema.names:
            return ""
        label = self.column("label")[row]
        return ", ".join(map(str, label)) if isinstance(label, list) else str(label)


class Inspected:
    """The data of a config.

    Args:
        config: that names the sources and their columns.
        task: that parsed the rows.
        tables: the splits.
        broken: rows that are not in them.
        assumed: split -> a line for each thing that was guessed while it was read, such as the encoding.
        decodings: split -> how its text files are written.
    """

    def __init__(
        self,
        config: Config,
        task: Task,
        tables: Mapping[str, Table],
        broken: Sequence[BrokenRow] = (),
        assumed: Mapping[str, Sequence[str]] = types.MappingProxyType({}),
        decodings: Mapping[str, Decoding] = types.MappingProxyType({}),
    ):
        self.config, self.task, self.broken, self.assumed = config, task, broken, assumed
        self.decodings = decodings
        self.splits = {name: SplitRows(name, table, task) for name, table in tables.items()}

    def __iter__(self) -> Iterator[SplitRows]:
        return iter(self.splits.values())


class Check(abc.ABC):
    """Something that an inspection looks for. It runs without TensorFlow and gives the same for any order of rows.

    Attributes:
        kinds: kind of finding -> its level.
    """

    kinds: Mapping[str, str]

    def see(self, split: str, record: Record, config: Config) -> None:
        """Gets each record before the task parses it, for what rows no longer have."""

    @abc.abstractmethod
    def find(self, data: Inspected) -> Iterator[Finding]:
        """What there is; nothing where all is well."""

    def finding(
        self,
        kind: str,
        rows: SplitRows,
        row_numbers: Iterable[int],
        what: str,
        fix: str = "",
        notes: Mapping[int, str] | None = None,
        **detail: Any,
    ) -> Finding:
        """A finding of some rows.

        Args:
            kind: of `kinds`.
            rows: of the split in which it is found.
            row_numbers: numbers of rows in it.
            what: follows `N of M rows`.
            fix: the line of a config, or what to do.
            notes: row -> what is shown beside its text, instead of its answer.
            detail: further figures.
        """
        numbers = list(row_numbers)
        examples = tuple(rows.example(row, (notes or {}).get(row, "")) for row in numbers[:MOST_ROWS])
        sentence = f"{len(numbers):,} of {len(rows):,} rows {what}"
        return Finding(kind, rows.name, len(numbers), self.kinds[kind], sentence, fix, examples, detail)


def clean_line(rows: SplitRows, key: str, action: str) -> str:
    """The line of a config that takes rows out, where they are of train; validation and test are the user's to fix."""
    return f"data.clean.{key}: {action}" if rows.name == "train" else f"fix the source of data.{rows.name}"
