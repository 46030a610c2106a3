"""Whole numbers between two bounds, as languages of `automaton`."""

from __future__ import annotations

from kerasft.models.constraints.automaton import Language, characters, either, literal, repeated, sequence

MOST_DIGITS = 15  # read by any program as the very number, as a double, too
LARGEST = 10**MOST_DIGITS - 1
DIGIT = characters([(48, 57)])


def integers(least: int, most: int) -> Language:
    """Decimal integers from the least to the most, of at most 15 digits, as JSON writes them."""
    least, most = max(least, -LARGEST), min(most, LARGEST)
    parts = []
    if least < 0:
        parts.append(sequence(literal("-"), _natural(max(1, -most), -least)))
    if most >= 0:
        parts.append(_natural(max(least, 0), most))
    return either(parts)


def _natural(least: int, most: int) -> Language:
    """Of numbers from 0 on: those of each count of digits between bounds of that count."""
    parts = []
    for count in range(len(str(least)), len(str(most)) + 1):
        low, high = max(least, 10 ** (count - 1) if count > 1 else 0), min(most, 10**count - 1)
        if low <= high:
            parts.append(_between(str(low), str(high)))
    return either(parts)


def _between(low: str, high: str) -> Language:
    """Texts of digits, as many as low and high have."""
    rest = len(low) - 1
    if not low:
        return literal("")
    if low == "0" * len(low) and high == "9" * len(high):
        return repeated(DIGIT, len(low), len(low))
    if low[0] == high[0]:
        return sequence(literal(low[0]), _between(low[1:], high[1:]))
    parts = [
        sequence(literal(low[0]), _between(low[1:], "9" * rest)),
        sequence(literal(high[0]), _between("0" * rest, high[1:])),
    ]
    if ord(high[0]) - ord(low[0]) > 1:
        middle = characters([(ord(low[0]) + 1, ord(high[0]) - 1)])
        parts.append(sequence(middle, repeated(DIGIT, rest, rest)))
    return either(parts)
