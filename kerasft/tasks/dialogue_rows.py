"""Records with messages or turns -> who says what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasft.config.text_generation import Chat
from kerasft.errors import BadRow
from kerasft.models.preprocessing.chat_template import Message

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

ROLES = ("messages", "turns")  # of columns that hold a dialogue


def messages_of(value: Any, role: str, chat: Chat, column: str, record: Record) -> list[Message]:
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
    if not isinstance(value, list) or not value:
        raise BadRow(f"{record.where}: column {column!r} is {value!r}; a list of {role} is needed")
    return [_message(each, place, role, chat, f"{record.where}: column {column!r}") for place, each in enumerate(value)]


def _message(value: Any, place: int, role: str, chat: Chat, where: str) -> Message:
    if role == "turns":
        if not isinstance(value, str):
            raise BadRow(f"{where}: turn {place + 1} is {value!r}; a text is needed")
        return Message(chat.turns[place % len(chat.turns)], value.strip())
    speaker, content = (
        value.get(key) if isinstance(value, dict) else None for key in (chat.role_key, chat.content_key)
    )
    if not isinstance(speaker, str) or not isinstance(content, str):
        form = f"{{{chat.role_key}: text, {chat.content_key}: text}}"
        raise BadRow(f"{where}: message {place + 1} is {value!r}; {form} is needed (task.chat.role_key, content_key)")
    return Message(chat.rename.get(speaker, speaker), content.strip())
