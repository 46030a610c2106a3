"""What text_generation reads from a record in each of its modes, and what is to be said of it."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kerasft.config.schema import Config
from kerasft.config.text_generation import TextGenerationConfig
from kerasft.errors import UserError
from kerasft.models.preprocessing.chat_template import SYSTEM, ChatTemplate, Message
from kerasft.quoting import listed
from kerasft.tasks.base import Column, Dialogue
from kerasft.tasks.base.columns import text_of
from kerasft.tasks.generation.mode import Mode
from kerasft.tasks.generation.prompts import PromptCompletion
from kerasft.tasks.problems.names import name_warnings
from kerasft.tasks.text_generation.checks import TurnOrder
from kerasft.tasks.text_generation.dialogue_rows import ROLES, messages_of

if TYPE_CHECKING:
    from kerasft.data.prepared.next_tokens import NextTokens
    from kerasft.data.prepared.spoken import RenderedTurn
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table


class Corpus(Mode):
    """Plain text, all of it."""

    columns = (Column("text"),)
    inputs = ("prompt",)
    texts = ("text",)

    def __init__(self, config: Config, section: TextGenerationConfig):
        super().__init__(config)
        self._packed = section.packing == "documents"

    def prepare(self, table: Table, preprocessor: Any) -> NextTokens:
        from kerasft.data.prepared.next_tokens import prepare_documents

        return prepare_documents(table, preprocessor, self._packed)


class Dialogues(Mode):
    """Turns of speakers, one of whom answers; a prompt is a dialogue as one text, as a client renders it too."""

    columns = tuple(Column(role, required=False) for role in ROLES)
    checks = (TurnOrder,)
    inputs = ("prompt",)
    texts = ("text",)
    roles: frozenset[str] = frozenset()  # of all turns, once the data is read

    def __init__(self, config: Config, section: TextGenerationConfig):
        super().__init__(config)
        self._chat, self._decoding = section.chat, section.decoding

    @property
    def dialogue(self) -> Dialogue:
        """How one is held."""
        room = self.config.model.max_length - self._decoding.max_new_tokens
        return Dialogue(self.template, self._chat.turns[0], room, self._decoding.beams)

    @functools.cached_property
    def template(self) -> ChatTemplate:
        """How a dialogue is made of turns."""
        return ChatTemplate(self._chat)

    @property
    def role(self) -> str:
        """Whether dialogues are messages or turns."""
        return next(role for role in ROLES if role in self.config.data.columns)

    def check(self) -> None:
        if len(roles := [role for role in ROLES if role in self.config.data.columns]) != 1:
            what = "are both there" if roles else "are both missing"
            raise UserError(f"data.columns: messages and turns {what}; name one, such as messages: NAME")
        self.template  # noqa: B018  is checked when it is made

    def schema(self) -> pa.Schema:
        many = pa.list_(pa.large_string())
        return pa.schema([("text", pa.large_string()), ("roles", many), ("contents", many), ("where", pa.string())])

    def _messages(self, record: Record, column: str, role: str) -> list[Message]:
        messages = messages_of(record.get(column, role), role, self._chat, column, record)
        return self.template.with_system(messages)

    def parse(self, record: Record) -> dict[str, Any]:
        messages = self._messages(record, self.config.data.columns[self.role], self.role)
        roles, contents = zip(*messages)
        return {
            "text": self.template.text(messages),
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
        return {"prompt": self.template.prompt([Message(self._chat.turns[0], text)])}

    def fit(self, splits: Mapping[str, Table]) -> None:
        learnt = self.template.learnt
        for split, table in splits.items():
            present = {role for roles in table.column("roles") for role in roles}
            self.roles |= present
            if not present & learnt:
                raise UserError(
                    f"data.{split}: no turn is of {' or '.join(sorted(learnt))}, but of {listed(sorted(present))}; "
                    "set task.chat.learn or task.chat.rename"
                )

    def data_warnings(self) -> list[str]:
        return name_warnings(sorted(self.roles), "roles")

    def prepare(self, table: Table, preprocessor: Any) -> NextTokens:
        from kerasft.data.prepared.next_tokens import prepare_dialogues

        return prepare_dialogues(table, preprocessor, self.template.between, self._render, SYSTEM)

    def _render(self, row: Mapping[str, Any]) -> list[RenderedTurn]:
        return [self.template.render_turn(Message(*turn)) for turn in zip(row["roles"], row["contents"])]

    def stops(self, special: Collection[str]) -> list[str]:
        return self.template.stops(special)

    def without_end(self, text: str) -> str:
        return text.removesuffix(self.template.end)


MODES = {"corpus": Corpus, "prompt_completion": PromptCompletion, "chat": Dialogues}
