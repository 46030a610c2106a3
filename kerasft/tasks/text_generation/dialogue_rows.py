"""Records with messages or turns -> who says what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasft.config.text_generation import ChatConfig
from kerasft.data.sources.edges import trimmed
from kerasft.data.sources.literals import read_list
from kerasft.errors import BadRow
from kerasft.models.preprocessing.chat_template import Message
from kerasft.quoting import quoted

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

ROLES = ("messages", "turns")  # of columns that hold a dialogue


def messages_of(value: Any, role: str, chat: ChatConfig, column: str, record: Record) -> list[Message]:
    """A dialogue out of a record's column; white space around a turn is left out.

    Args:
        value: messages, mappings of a role and a content; or turns, texts of speakers who take turns.
        role: which of both.
        chat: how they are read.
        column: its name, for complaints.
        record: where it comes from.

    Raises:
        BadRow: it is something else.
    """
    if isinstance(value, str):  # a cell of a CSV file
        value = read_list(value) or value
    if not isinstance(value, list) or not value:
        raise BadRow(f"{record.where}: column {column!r} is {quoted(value)}; a list of {role} is needed")
    return [_message(each, index, role, chat, f"{record.where}: column {column!r}") for index, each in enumerate(value)]


def _message(value: Any, index: int, role: str, chat: ChatConfig, where: str) -> Message:
    if role == "turns":
        if not isinstance(value, str):
            raise BadRow(f"{where}: turn {index + 1} is {quoted(value)}; a text is needed")
        return Message(chat.turns[index % len(chat.turns)], value.strip())
    speaker, content = (
        value.get(key) if isinstance(value, dict) else None for key in (chat.role_key, chat.content_key)
    )
    if not isinstance(speaker, str) or not isinstance(content, str) or not trimmed(speaker):
        form = f"{{{chat.role_key}: text, {chat.content_key}: text}}"
        raise BadRow(
            f"{where}: message {index + 1} is {quoted(value)}; {form} is needed (task.chat.role_key, content_key)"
        )
    speaker = trimmed(speaker)
    return Message(chat.rename.get(speaker, speaker), content.strip())
