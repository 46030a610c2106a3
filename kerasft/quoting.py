"""Values of a user's data as messages quote them: on one line, and never longer than a part of one."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any

LONGEST = 60  # characters of a value in a message
MOST_NAMES = 20  # of a list of names in a message


class _Repr(reprlib.Repr):
    """Looks at no more of a value than a message shows: a column may hold all rows of a data set."""

    def __init__(self):
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxlong = self.maxother = 4 * LONGEST
        self.maxlevel = 8

    def repr_str(self, x: str, level: int) -> str:
        return repr(x[: 2 * LONGEST])  # no words in the middle are left out: the end is cut

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x[: 2 * LONGEST])

    def repr_dict(self, x: dict, level: int) -> str:
        """In the order of the keys as they stand, which reprlib would sort."""
        if level <= 0:
            return "{...}"
        items = list(zip(range(self.maxdict), x.items()))
        return "{" + ", ".join(f"{self.repr1(k, level - 1)}: {self.repr1(v, level - 1)}" for _, (k, v) in items) + "}"


_REPR = _Repr()


def quoted(value: Any) -> str:
    """A value as Python writes it, cut with an ellipsis after 60 characters; what can't be printed is escaped."""
    text = _REPR.repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def cut(text: str) -> str:
    """A text of a user's without quotes around it, cut as `quoted` cuts."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def listed(names: Iterable[str]) -> str:
    """Names with commas between them, the first 20, each cut."""
    names = list(names)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(map(cut, names[:MOST_NAMES])) + more
