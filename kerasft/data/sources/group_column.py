"""A column of the data that no model reads: its values are found by where rows stand in their files."""

from __future__ import annotations

from collections.abc import Sequence

from kerasft.config.data import Sources
from kerasft.config.schema import Config
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import Record, read_records
from kerasft.errors import UserError
from kerasft.quoting import listed


def source_of(config: Config, split: str) -> Sources:
    """Where the rows of a split stand; those of a share are in train."""
    source = getattr(config.data, split)
    return config.data.train if source is None or isinstance(source, float) else source


def column_values(config: Config, split: str, column: str, wheres: Sequence[str], key: str) -> list[str]:
    """(rows,) the value of a column in each row; "" where it has none.

    Args:
        config: names the sources.
        split: that the rows are of.
        column: its name in the data.
        wheres: FILE:LINE of each row.
        key: what the user named the column by, for messages.

    Raises:
        UserError: no row has it.
    """
    wanted, found, names = set(wheres), {}, set()
    for record in read_records(
        source_of(config, split), config.data.format, Reading.of(config.data, lambda line: None)
    ):
        names |= record.values.keys()
        if record.where in wanted and record.values.get(column) is not None:
            found[record.where] = str(record.values[column])
    if not found:
        raise UserError(f"{key} {column}: no row of data.{split} has it; there are: {listed(names)}")
    return [found.get(where, "") for where in wheres]


def check_column(config: Config, split: str, column: str, key: str) -> None:
    """Raises UserError where the first record of a split lacks a column, before anything is done."""
    records = read_records(source_of(config, split), config.data.format, Reading.of(config.data, lambda line: None))
    first: Record | None = next(iter(records), None)
    if first is not None and column not in first.values:
        raise UserError(f"{key} {column}: data.{split} has no such column; there are: {listed(first.values)}")
