"""Prompts with answers: how text_generation reads them in mode prompt_completion, and seq2seq always."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.config.seq2seq import Seq2SeqConfig
from kerasft.config.text_generation import TextGenerationConfig
from kerasft.errors import UserError
from kerasft.models.preprocessing.prompt_template import PromptTemplate, plain_template
from kerasft.tasks.base import Column
from kerasft.tasks.generation.checks import WrittenAnswers
from kerasft.tasks.generation.mode import Mode

if TYPE_CHECKING:
    from kerasft.data.prepared.next_tokens import NextTokens
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table

PROMPT = ("instruction", "input")  # roles of columns that a prompt is made of


class PromptCompletion(Mode):
    """Prompts with answers.

    Args:
        config: `data.columns` says which columns a prompt is made of.
        section: `task` of the config; its template joins the columns.
        ending: of a prompt, where the config has no template.
    """

    columns = (*(Column(role, required=False) for role in PROMPT), Column("output"))
    checks = (WrittenAnswers,)

    def __init__(self, config: Config, section: TextGenerationConfig | Seq2SeqConfig, ending: str = "\n"):
        super().__init__(config)
        self._configured_template, self._ending = section.template, ending
        self.inputs = tuple(role for role in PROMPT if role in config.data.columns)
        self.texts = (*self.inputs, "output")
        self.may_be_empty = ("input",) if self.inputs == PROMPT else ()  # an instruction may need none
        self._has_input_column = False  # that of the input, in some row

    @property
    def source_texts(self) -> tuple[str, ...]:
        return self.inputs

    @functools.cached_property
    def template(self) -> PromptTemplate:
        """How a prompt is made of `inputs`."""
        return PromptTemplate(self._configured_template or plain_template(self.inputs, self._ending), self.inputs)

    def check(self) -> None:
        if not self.inputs:
            raise UserError("data.columns: a prompt is made of instruction or input; name one, such as input: NAME")
        self.template  # noqa: B018  is checked when it is made

    def parse(self, record: Record) -> dict[str, Any]:
        return super().parse(self._with_input(record))

    def parse_inputs(self, record: Record) -> dict[str, str]:
        return super().parse_inputs(self._with_input(record))

    def _with_input(self, record: Record) -> Record:
        """A record whose input may be null, NaN or missing, as in Alpaca's rows: beside an instruction, it is none."""
        if self.inputs != PROMPT:
            return record
        column = self.config.data.columns["input"]
        self._has_input_column |= column in record.values
        value = record.values.get(column, record.values.get("input"))
        if value is not None and value == value:  # NaN, as pandas has what is missing, equals nothing
            return record
        return dataclasses.replace(record, values=record.values | {column: ""})

    def fit(self, splits: Mapping[str, Table]) -> None:
        super().fit(splits)
        if self.inputs == PROMPT and not self._has_input_column:
            column = self.config.data.columns["input"]
            raise UserError(
                f"data.columns.input: no row has a column {column!r}; correct its name, or remove the key where "
                "instructions are all there is"
            )

    def prepare(self, table: Table, preprocessor: Any) -> NextTokens:
        from kerasft.data.prepared.next_tokens import prepare_answers

        return prepare_answers(table, preprocessor, self.template.render)

    def joined(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "join": self.template.join}
