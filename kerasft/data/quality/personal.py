"""Personal data in texts: what a model may learn by heart, and a report or a prediction may show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kerasft.data.quality.base import Check, Finding, Inspected, clean_line

# Nothing is sought within what a search has gone through: a text of 100,000 letters would take minutes.
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PHONE = re.compile(
    r"(?<![A-Za-z0-9_+./-])(?:"
    r"(?:\+|00)[1-9]\d{0,2}(?:[ ()/.-]{0,3}\d{1,4}){2,6}"  # international
    r"|\(\d{2,5}\)[ -]?\d{3,4}[ .-]?\d{3,5}"  # (030) 123 4567
    r"|\d{3}[ .-]\d{3}[ .-]\d{4}"  # North America
    r"|0\d{2,4}[ /-]\d{5,9}"  # with the code of an area
    r"|1[3-9]\d{9}"  # a mobile phone in China
    r")(?![A-Za-z0-9_-])"
)
CARD = re.compile(r"(?<![A-Za-z0-9_.-])[3-6]\d{3}(?:[ -]?\d){9,15}(?![A-Za-z0-9_-])")
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")


class Kind(NamedTuple):
    """One kind of personal data.

    Attributes:
        pattern: of what may be of it.
        right: whether a match is.
        what: rows with it, in words that follow their number.
        mask: what may stand in its place.
    """

    pattern: re.Pattern[str]
    right: Callable[[str], bool]
    what: str
    mask: str


def personal_spans(text: str) -> list[tuple[int, int, str]]:
    """Start, end and kind of all personal data in a text, in order, none inside another."""
    spans = sorted(
        (match.start(), -match.end(), name)
        for name, kind in KINDS.items()
        for match in kind.pattern.finditer(text)
        if kind.right(match.group())
    )
    apart: list[tuple[int, int, str]] = []
    for start, end, name in spans:
        if not apart or start >= apart[-1][1]:
            apart.append((start, -end, name))
    return apart


class PersonalData(Check):
    """Rows with addresses, numbers of telephones, of payment cards (Luhn's digit is right), of accounts (IBAN)."""

    kinds = {"emails": "info", "phones": "info", "cards": "warning", "ibans": "warning"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        for rows in data:
            for name, kind in KINDS.items():
                matches = [
                    row
                    for row, texts in enumerate(rows.texts)
                    if any(kind.right(match.group()) for text in texts for match in kind.pattern.finditer(text))
                ]
                if matches:
                    yield self.finding(name, rows, matches, kind.what, clean_line(rows, "redact", "mask"))


def luhn(text: str) -> bool:
    """Whether the last digit of a number is the check digit of the others (ISO/IEC 7812-1)."""
    digits = [int(sign) for sign in re.sub(r"\D", "", text)][::-1]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10


def iban(text: str) -> bool:
    """Whether the check digits of an account's number are right (ISO 13616)."""
    bare = text.replace(" ", "")
    return 15 <= len(bare) <= 34 and int("".join(str(int(sign, 36)) for sign in bare[4:] + bare[:4])) % 97 == 1


KINDS = {
    "emails": Kind(EMAIL, lambda text: True, "have an e-mail address", "[EMAIL]"),
    "phones": Kind(
        PHONE, lambda text: 8 <= len(re.sub(r"\D", "", text)) <= 15, "seem to have a telephone number", "[PHONE]"
    ),
    "cards": Kind(CARD, luhn, "have the number of a payment card", "[CARD]"),
    "ibans": Kind(IBAN, iban, "have the number of a bank account", "[IBAN]"),
}
