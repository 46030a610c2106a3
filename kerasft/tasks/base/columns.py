"""Values of a record's columns as tasks read them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasft.errors import BadRow, UserError
from kerasft.quoting import quoted

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table


def text_of(value: Any, column: str, where: str) -> str:
    """A text, bytes of UTF-8, or a number as text. Raises BadRow with the record's place."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode("utf-8")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return str(value)
    raise BadRow(f"{where}: column {column!r} is {quoted(value)}; a text is needed")


def text_identity(text: str) -> int:
    """64 bits, signed, that are equal where texts are equal, in every process; no table of all texts is held."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def first_text(value: Any) -> Any:
    """Of several texts, such as SQuAD's answers and summaries by several hands, the first; any other value itself."""
    if isinstance(value, dict) and "text" in value:
        value = value["text"]
    while isinstance(value, list) and value:
        value = value[0]["text"] if isinstance(value[0], dict) and "text" in value[0] else value[0]
    return value


def check_some_text(splits: Mapping[str, Table], column: str = "text") -> None:
    """Raises UserError where every text of a split's column is empty."""
    for split, table in splits.items():
        if not any(text.strip() for batch in table.batches(4096, [column]) for text in batch[column]):
            raise UserError(f"data.{split}: every text is empty; a language model needs some")
