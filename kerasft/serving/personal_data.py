"""Where personal data stands in a text, by its form; numbers with check digits only where these are right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kerasft.data.quality.personal import CARD, EMAIL, IBAN, PHONE, iban, luhn

CHINESE_ID = re.compile(
    r"(?<![0-9A-Za-z])[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{3}[0-9Xx](?![0-9A-Za-z])"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

Span = tuple[int, int]


def chinese_id(text: str) -> bool:
    """Whether the last sign of a resident's number is the check sign of the others (GB 11643, MOD 11-2)."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text))
    return "10X98765432"[total % 11] == text[-1].upper()


def _digits(text: str) -> bool:
    return 8 <= len(re.sub(r"\D", "", text)) <= 15


KINDS: dict[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "email": (EMAIL, lambda text: True),
    "phone": (PHONE, _digits),
    "card": (CARD, luhn),
    "iban": (IBAN, iban),
    "chinese_id": (CHINESE_ID, chinese_id),
}


def spans(text: str, kinds: Iterable[str]) -> list[Span]:
    """(start, end) code points of what has one of the forms."""
    found = []
    for kind in kinds:
        pattern, right = KINDS[kind]
        found += [match.span() for match in pattern.finditer(text) if right(match[0])]
    return sorted(found)
