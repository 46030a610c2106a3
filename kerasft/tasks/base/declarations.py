"""What a task says of itself and of its data in a form that others read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Column:
    """A role that a task reads from the data, and whether it can do without."""

    role: str
    required: bool = True


class Number(NamedTuple):
    """A number that a request may send beside its texts.

    Attributes:
        dtype: such as int32.
        values: the usual one first; an export is checked with all of them.
    """

    dtype: str
    values: tuple[float, ...]


class Unreachable(NamedTuple):
    """True answers of a split that the model can't give, however well it learns.

    Attributes:
        count: how many they are.
        of: how many true answers there are.
        what: they are, in words that follow the numbers.
        fix: a sentence.
        row: number of the first row with one; None where it is not known.
    """

    count: int
    of: int
    what: str
    fix: str
    row: int | None = None
