"""How tasks that write texts read records: what is common to all modes."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kerasft.config.schema import Config
from kerasft.tasks.base import Column, Dialogue
from kerasft.tasks.base.columns import check_some_text, first_text, text_of

if TYPE_CHECKING:
    from kerasft.data.prepared.next_tokens import NextTokens
    from kerasft.data.quality.base import Check
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table


class Mode(abc.ABC):
    """A kind of row: a text, a prompt with its answer, a dialogue.

    Attributes:
        columns: roles of columns that the data may have.
        inputs: names of the texts that an answer needs.
        texts: names of the texts of a row.
        may_be_empty: those that a row can do without.
        checks: of an inspection, for what only such rows can have.
    """

    columns: tuple[Column, ...]
    inputs: tuple[str, ...]
    texts: tuple[str, ...]
    may_be_empty: tuple[str, ...] = ()
    checks: tuple[type[Check], ...] = ()

    def __init__(self, config: Config):
        self.config = config

    @property
    def source_texts(self) -> tuple[str, ...]:
        """Of `texts`, those that an answer belongs to."""
        return self.texts

    @property
    def dialogue(self) -> Dialogue | None:
        """How one is held with the model, where rows are dialogues."""
        return None

    def check(self) -> None:
        """Raises UserError for what a config may not say in this mode."""

    def schema(self) -> pa.Schema:
        """Of one parsed row."""
        return pa.schema([*((name, pa.large_string()) for name in self.texts), ("where", pa.string())])

    def parse(self, record: Record) -> dict[str, Any]:
        """A record -> a row of `schema`. Raises BadRow."""
        columns = self.config.data.columns
        values = {role: first_text(record.get(columns[role], role)) for role in self.texts}
        texts = {role: text_of(value, columns[role], record.where) for role, value in values.items()}
        return texts | {"where": record.where}

    def parse_inputs(self, record: Record) -> dict[str, str]:
        """A record without an answer -> `inputs`. Raises BadRow."""
        texts = {}
        for role in self.inputs:
            names = (role, self.config.data.columns[role if role in self.texts else "text"])
            if len(self.inputs) == 1:
                names += ("text",)  # a line of plain text
            column = next((name for name in names if name in record.values), names[1])
            texts[role] = text_of(record.get(column, role), column, record.where)
        return texts

    def fit(self, splits: Mapping[str, Table]) -> None:
        """Raises UserError where there is nothing to learn."""
        check_some_text(splits, self.texts[-1])

    def data_warnings(self) -> list[str]:
        """What is odd about the names in the data."""
        return []

    @abc.abstractmethod
    def prepare(self, table: Table, preprocessor: Any) -> NextTokens:
        """A table as a decoder reads it."""

    def joined(self) -> dict[str, Any]:
        """What the preprocessor needs to know of a prompt's columns."""
        return {}

    def stops(self, special: Collection[str]) -> list[str]:
        """Texts that an answer ends before, of a tokenizer with these special tokens, beside those of the config."""
        return []

    def without_end(self, text: str) -> str:
        """What was to be written, without the words that end it."""
        return text
