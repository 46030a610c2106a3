"""Names of classes as data holds them: what may be one, which two are the same, and which look alike but are not."""

from __future__ import annotations

import datetime
import decimal
import itertools
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from kerasft.data.sources.edges import invisible, trimmed
from kerasft.errors import BadRow
from kerasft.quoting import quoted

MOST_SHOWN = 3  # pairs of names, or names, of one warning
SEPARATORS = ",;|\t\n#，、；"
JOINTS = "/+&- "  # which stand within names too

# Letters of other scripts that look like Latin ones, after case is gone.
_LIKE_LATIN = str.maketrans(
    dict(zip("аеорсухіјѕкмтнвԁԛԝο\u03b1\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u03c7", "aeopcyxijskmthbdqwoapviktux"))
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u02bc`\u00b4", "'")
    | dict.fromkeys("\u201c\u201d", '"')
)
_MISSING = re.compile(
    r"(?:None|(?i:-?nan|<na>|nat|null|n/a|#n/?a|#ref!|#value!|#div/0!|#name\?|#num!|#null!|\\n|undefined))"
    r"|b?(['\"]).*\1|\[.*\]",
    re.DOTALL,
)
_WHOLE = re.compile(r"([-+]?\d+)\.0*")  # a whole number as floats are written


class NoName(ValueError):
    """A value is no name; the message says what it is instead."""


def name_of(value: Any) -> str:
    """A value of a column -> the name that it is, without what is blank at its edges.

    A string, bytes of UTF-8, a number, true or false, a date.

    Raises:
        NoName: it is missing (null, NaN, a string of white space), a list, or anything else.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise NoName("bytes that are no UTF-8") from None
    if isinstance(value, str):
        if name := trimmed(value):
            return name
        raise NoName("an empty text")
    if isinstance(value, (float, decimal.Decimal)) and not math.isfinite(value):
        raise NoName("no number" if math.isnan(value) else "an endless number")
    if isinstance(value, (bool, int, float, decimal.Decimal, datetime.date)):
        return str(value)
    raise NoName("missing" if value is None else "no name")


def read_name(value: Any, what: str, where: str) -> str:
    """As `name_of`; raises BadRow that says `what` of the row at `where` is none, such as `the label`."""
    try:
        return name_of(value)
    except NoName:
        raise BadRow(f"{where}: {what} is {quoted(value)}; one label is needed", "no label") from None


def identity(name: str) -> str:
    """Equal for names of one class: formats and programs write true and false in capitals or not."""
    lower = name.lower()
    return lower if lower in ("true", "false") else name


def distinct(names: Iterable[str]) -> list[str]:
    """Sorted names, one for each class."""
    return sorted({identity(name): name for name in sorted(names, reverse=True)}.values())


def indices(names: Sequence[str]) -> dict[str, int]:
    """`identity` of each name -> its place."""
    return {identity(name): index for index, name in enumerate(names)}


def likeness(name: str) -> str:
    """Equal for names that a reader may take for one another, whatever their form, case, width, spaces or joints."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = "".join(_digit(sign) for sign in folded if not invisible(sign) and not "\ufe00" <= sign <= "\ufe0f")
    like = _with_plain_joints(" ".join(visible.translate(_LIKE_LATIN).split()))
    whole = _WHOLE.fullmatch(like)
    return whole[1] if whole else like.rstrip(".") or like


def _with_plain_joints(text: str) -> str:
    """A text whose words stand as a reader takes them: `a_b` and `a-b` as `a b`, `a / b` as `a/b`."""
    return re.sub(r"(?<=\w)[-_\s]+(?=\w)", " ", re.sub(r"\s*([/|,;:&+])\s*", r"\1", text))


def _digit(sign: str) -> str:
    """A digit of any script as that of ASCII; another character as it is."""
    value = unicodedata.decimal(sign, None)
    return sign if value is None else str(value)


def difference(name: str, other: str) -> str:
    """In what two names of one likeness differ, in words."""
    forms = (
        ("in the Unicode form", lambda text: unicodedata.normalize("NFC", text)),
        ("in case", str.casefold),
        ("in characters that can't be seen", lambda text: "".join(sign for sign in text if not invisible(sign))),
        ("in white space", lambda text: " ".join(text.split())),
        ("in the signs between words", _with_plain_joints),
        ("in a full stop at the end", lambda text: text.rstrip(".")),
        ("in the way a number is written", lambda text: _WHOLE.sub(r"\1", text)),
        ("in full-width or other compatible forms", lambda text: unicodedata.normalize("NFKC", text)),
    )
    for words, form in forms:
        if form(name) == form(other):
            return words
    return "in characters that look alike"


def display_name(name: str) -> str:
    """A name in quotes, and where it is not plain ASCII its characters by number too."""
    plain, escaped = quoted(name), ascii(name[:60])
    return plain if plain == escaped else f"{plain} ({escaped})"


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that look alike but are different classes."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        groups[likeness(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def name_warnings(names: Sequence[str], what: str = "labels", separator: str = "") -> list[str]:
    """What a reader should look at among the names of all classes, a sentence each.

    Args:
        names: of all classes.
        what: they are.
        separator: names the key with which several names in one cell are told apart; "" where there is none.
    """
    warnings = []
    if groups := alike(names):
        pairs = [
            f"{' and '.join(map(display_name, group[:MOST_SHOWN]))} (they differ {difference(*group[:2])})"
            for group in groups
        ]
        warnings.append(
            f"{what} that look alike are different classes: {_some(pairs)}; write them alike if they are one"
        )
    if odd := [display_name(name) for name in names if _MISSING.fullmatch(name)]:
        warnings.append(
            f"{what} may be missing values, bytes, lists or quoted names that were written as text: {_some(odd)}"
        )
    if separator and (joined := _joined(names)):
        examples = [f"{display_name(name)} has {sign!r} in it" for name, sign in joined]
        warnings.append(f"{what} may be several in one: {_some(examples)}; is another {separator} meant?")
    return warnings


def _some(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - MOST_SHOWN} more" if len(parts) > MOST_SHOWN else ""
    return ", ".join(parts[:MOST_SHOWN]) + more


def _joined(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names that are made of others, with what stands between: `joy, sad` where there are `joy` and `sad, fear`.

    A sign that lists are written with is told too where half of the names have it; one that names themselves may have
    only where all the parts stand elsewhere.
    """
    all_names, combined = set(names), []
    for sign in SEPARATORS + JOINTS:
        split = {name: [trimmed(part) for part in name.split(sign)] for name in names if sign in name.strip(sign)}
        uses: dict[str, int] = defaultdict(int)
        for part in itertools.chain.from_iterable(split.values()):
            uses[part] += 1
        enough = all if sign in JOINTS else any
        many = sign in SEPARATORS and 2 * len(split) >= len(names) > 1
        for name, parts in split.items():
            if many or enough(part in all_names or uses[part] > 1 for part in parts if part):
                combined.append((name, sign))
    return combined
