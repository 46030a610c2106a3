"""What text_generation reads from a record in each of its modes, and what is to be said of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.preprocessing.chat_template import SYSTEM, ChatTemplate, Message
from kerasft.models.preprocessing.prompt_template import PromptTemplate, plain_template
from kerasft.quoting import listed
from kerasft.tasks.base import Column
from kerasft.tasks.base.columns import check_some_text, first_text, text_of
from kerasft.tasks.generation.dialogue_rows import ROLES, messages_of
from kerasft.tasks.problems.names import name_warnings

if TYPE_CHECKING:
    from kerasft.data.prepared.next_tokens import NextTokens
    from kerasft.data.prepared.spoken import RenderedTurn
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table

PROMPT = ("instruction", "input")  # roles of columns that a prompt is made of


class Corpus:
    """Plain text, all of it."""

    columns: tuple[Column, ...] = (Column("text"),)
    inputs: tuple[str, ...] = ("prompt",)
    texts: tuple[str, ...] = ("text",)
    given: tuple[str, ...] = ("text",)  # of `texts`, those that an answer belongs to
    may_be_empty: tuple[str, ...] = ()

    def __init__(self, config: Config):
        self.config = config

    def check(self) -> None:
        """Raises UserError for what a config may not say in this mode."""

    def schema(self) -> pa.Schema:
        return pa.schema([*((name, pa.large_string()) for name in self.texts), ("where", pa.string())])

    def parse(self, record: Record) -> dict[str, Any]:
        columns = self.config.data.columns
        values = {role: first_text(record.get(columns[role], role)) for role in self.texts}
        texts = {role: text_of(value, columns[role], record.where) for role, value in values.items()}
        return texts | {"where": record.where}

    def parse_inputs(self, record: Record) -> dict[str, str]:
        found = {}
        for role in self.inputs:
            names = (role, self.config.data.columns[role if role in self.texts else "text"])
            if len(self.inputs) == 1:
                names += ("text",)  # a line of plain text
            column = next((name for name in names if name in record.values), names[1])
            found[role] = text_of(record.get(column, role), column, record.where)
        return found

    def fit(self, splits: Mapping[str, Table]) -> None:
        check_some_text(splits, self.texts[-1])

    def data_warnings(self) -> list[str]:
        """What is odd about the names in the data."""
        return []

    def prepare(self, table: Table, preprocessor: Any) -> NextTokens:
        from kerasft.data.prepared.next_tokens import prepare_documents

        return prepare_documents(table, preprocessor, self.config.task.packing == "documents")

    def joined(self) -> dict[str, Any]:
        """What the preprocessor is told of a prompt's columns."""
        return {}

    def stops(self, special: Collection[str]) -> list[str]:
        """Texts that an answer ends before, of a tokenizer with these special tokens, beside those of the config."""
        return []

    def without_end(self, text: str) -> str:
        """What was to be written, without the words that end it."""
        return text


class PromptCompletion(Corpus):
    """Prompts with answers.

    Args:
        config: the resolved config.
        ending: of a prompt, where the config has no template.
    """

    columns = (*(Column(role, required=False) for role in PROMPT), Column("output"))

    def __init__(self, config: Config, ending: str = "\n"):
        super().__init__(config)
        self._ending = ending
        self.inputs = tuple(role for role in PROMPT if role in config.data.columns)
        self.given, self.texts = self.inputs, (*self.inputs, "output")
        self.may_be_empty = ("input",) if self.inputs == PROMPT else ()  # an instruction may need none
        self._column_seen = False  # that of the input, in some row

    @functools.cached_property
    def template(self) -> PromptTemplate:
        """How a prompt is made of `inputs`."""
        return PromptTemplate(self.config.task.template or plain_template(self.inputs, self._ending), self.inputs)

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
        self._column_seen |= column in record.values
        given = record.values.get(column, record.values.get("input"))
        if given is not None and given == given:  # NaN, as pandas has what is missing, equals nothing
            return record
        return dataclasses.replace(record, values=record.values | {column: ""})

    def fit(self, splits: Mapping[str, Table]) -> None:
        super().fit(splits)
        if self.inputs == PROMPT and not self._column_seen:
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


class Dialogues(Corpus):
    """Turns of speakers, one of whom answers; a prompt is a dialogue as one text, as a client renders it too."""

    columns = tuple(Column(role, required=False) for role in ROLES)
    roles: frozenset[str] = frozenset()  # of all turns, once the data is read

    @functools.cached_property
    def template(self) -> ChatTemplate:
        """How a dialogue is made of turns."""
        return ChatTemplate(self.config.task.chat)

    @property
    def role(self) -> str:
        """Whether dialogues are messages or turns."""
        return next(role for role in ROLES if role in self.config.data.columns)

    def check(self) -> None:
        if len(given := [role for role in ROLES if role in self.config.data.columns]) != 1:
            what = "are both there" if given else "are both missing"
            raise UserError(f"data.columns: messages and turns {what}; name one, such as messages: NAME")
        self.template  # noqa: B018  is checked when it is made

    def schema(self) -> pa.Schema:
        many = pa.list_(pa.large_string())
        return pa.schema([("text", pa.large_string()), ("roles", many), ("contents", many), ("where", pa.string())])

    def _messages(self, record: Record, column: str, role: str) -> list[Message]:
        found = messages_of(record.get(column, role), role, self.config.task.chat, column, record)
        return self.template.with_system(found)

    def parse(self, record: Record) -> dict[str, Any]:
        found = self._messages(record, self.config.data.columns[self.role], self.role)
        roles, contents = zip(*found)
        return {
            "text": self.template.text(found),
            "roles": list(roles),
            "contents": list(contents),
            "where": record.where,
        }

    def parse_inputs(self, record: Record) -> dict[str, str]:
        """A dialogue, or one text, which is a user's only turn; a column `prompt` is taken as it stands."""
        if "prompt" in record.values:
            return {"prompt": text_of(record.values["prompt"], "prompt", record.where)}
        for role, column in ((self.role, self.config.data.columns[self.role]), *((role, role) for role in ROLES)):
            if column in record.values:
                return {"prompt": self.template.prompt(self._messages(record, column, role))}
        text = text_of(record.get("text", "text"), "text", record.where)
        return {"prompt": self.template.prompt([Message(self.config.task.chat.turns[0], text)])}

    def fit(self, splits: Mapping[str, Table]) -> None:
        learnt = self.template.learnt
        for split, table in splits.items():
            found = {role for roles in table.column("roles") for role in roles}
            self.roles |= found
            if not found & learnt:
                raise UserError(
                    f"data.{split}: no turn is of {' or '.join(sorted(learnt))}, but of {listed(sorted(found))}; "
                    "set task.chat.learn or task.chat.rename"
                )

    def data_warnings(self) -> list[str]:
        return name_warnings(sorted(self.roles), "roles")

    def prepare(self, table: Table, preprocessor: Any) -> NextTokens:
        from kerasft.data.prepared.next_tokens import prepare_dialogues

        return prepare_dialogues(table, preprocessor, self.template.between, self._spoken, SYSTEM)

    def _spoken(self, row: Mapping[str, Any]) -> list[RenderedTurn]:
        return [self.template.spoken(Message(*turn)) for turn in zip(row["roles"], row["contents"])]

    def stops(self, special: Collection[str]) -> list[str]:
        return self.template.stops(special)

    def without_end(self, text: str) -> str:
        return text.removesuffix(self.template.end)


MODES = {"corpus": Corpus, "prompt_completion": PromptCompletion, "chat": Dialogues}
