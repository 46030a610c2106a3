"""When two texts are the same to a reader: their case, width, white space and punctuation left out."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table

_NO_WORD = re.compile(r"[\W_]+")
_SYMBOLS = ("S", "M")  # Unicode categories beside letters and digits: emoji, currencies, accents that stand alone
Fold = Callable[[str], str]


def folded(text: str) -> str:
    """Letters and digits alone, in NFKC and lower case, one space for whatever stood between them.

    Numbers and negations stay, so `2018` is not `2019`. A text without any letter or digit stays as it is.
    """
    words = _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()
    return words or text.strip()


def folded_with_symbols(text: str) -> str:
    """As `folded`, but symbols stay: emoji, currencies, plus and minus may make another answer right."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return " ".join(plain.translate(_KEPT).split()) or text.strip()


class _Kept(dict[int, str]):
    """Code point -> what is left of it; filled as characters come."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        stays = sign.isalnum() or sign == "-" or unicodedata.category(sign)[0] in _SYMBOLS
        self[code] = sign if stays else " "
        return self[code]


_KEPT = _Kept()


def row_keys(
    table: Table,
    names: Sequence[str],
    fold: Fold = folded,
    plain: Callable[[tuple[str, ...]], tuple[str, ...]] = tuple,
) -> list[bytes]:
    """16 bytes for each row that are equal where its texts are the same.

    Args:
        table: rows.
        names: of its columns of texts.
        fold: what is left of a text to be compared.
        plain: what is left of the texts of a row before.
    """
    rows = (texts for batch in table.batches(4096, list(names)) for texts in zip(*batch.values()))
    return [text_key(plain(texts), fold) for texts in rows]


def text_key(texts: Sequence[str], fold: Fold = folded) -> bytes:
    """16 bytes that are equal where several texts are the same, one by one."""
    joined = "\x1f".join(fold(text) for text in texts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()
