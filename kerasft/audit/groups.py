"""Groups of people in the rows of a split: from a column that the model never sees, and from word lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import Record, read_records
from kerasft.errors import UserError
from kerasft.evaluation.bias.words import WORDS, GroupWords
from kerasft.quoting import listed

if TYPE_CHECKING:  # which loads TensorFlow
    from kerasft.audit.subject import Subject


def known_words(config: Config) -> dict[str, GroupWords]:
    """Aspect -> its words: those that come with the program."""
    return {aspect: GroupWords(groups) for aspect, groups in WORDS.items()}


def column_groups(subject: Subject) -> list[str]:
    """(rows,) the value of the group column of each row; "" where it has none.

    The sources are read again, and rows are found by where they stand, so that the column reaches neither the table
    nor the model.

    Raises:
        UserError: there is no such column, or rows do not say where they are from.
    """
    column, config = str(subject.settings.group), subject.run.config
    if "where" not in subject.table.schema.names:
        raise UserError(f"--group {column}: rows of {config.task.name} do not keep where they stand; leave it out")
    source = getattr(config.data, subject.settings.split)
    if source is None or isinstance(source, float):
        source = config.data.train
    wanted = {row["where"] for row in subject.whole}
    found: dict[str, str] = {}
    names: set[str] = set()
    for record in read_records(source, config.data.format, Reading.of(config.data, lambda line: None)):
        names |= record.values.keys()
        if record.where in wanted and record.values.get(column) is not None:
            found[record.where] = str(record.values[column])
    if not found:
        raise UserError(f"--group {column}: no row of data.{subject.settings.split} has it; there are: {listed(names)}")
    return [found.get(row["where"], "") for row in subject.whole]


def check_group(config: Config, column: str, split: str) -> None:
    """Raises UserError where the first record of a split lacks a column, before a model is loaded."""
    source = getattr(config.data, split)
    if source is None or isinstance(source, float):
        source = config.data.train
    records = read_records(source, config.data.format, Reading.of(config.data, lambda line: None))
    first: Record | None = next(iter(records), None)
    if first is not None and column not in first.values:
        raise UserError(f"--group {column}: data.{split} has no such column; there are: {listed(first.values)}")
