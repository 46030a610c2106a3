"""Tags of tokens -> spans of tokens, in the schemes that taggers' data come in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from kerasft.quoting import quoted
from kerasft.tasks.problems.names import MOST_SHOWN, display_name, likeness

SCHEMES = ("iob1", "iob2", "bioes", "bilou", "plain")
_PREFIXED = re.compile(r"([BIESLUM])-(.+)", re.DOTALL)
# A scheme's tag but for its writing: b-per, B_PER, B:PER, PER-B, "B-PER", with dashes that are no hyphens.
_ODD = re.compile(r"(['\"]?)(?:[BIESLUMO][-_:/\u2010-\u2015\u2212\uff0d]\S*|\S+[-_:/][BIESLUM]|O)\1", re.IGNORECASE)
_LETTERS = {"iob1": "BI", "iob2": "BI", "bioes": "BIES", "bilou": "BILU"}

TokenSpan = tuple[int, int, str]  # first token, one past the last, type


class IllFormed(ValueError):
    """A tag that its scheme does not allow at its place; the message says which and why."""


def spans_of_tags(tags: Sequence[str], scheme: str = "auto") -> list[TokenSpan]:
    """Reads the spans out of the tags of one text.

    `auto` reads every scheme as conlleval does (Tjong Kim Sang and Buchholz 2000): B, S and U open a span; I, M, E
    and L go on with a span of their type and otherwise open one; E, L, S and U close it. A tag without such a prefix
    is the type of a span of one token, as in part-of-speech tagging. `O` is no span.

    Args:
        tags: one a token.
        scheme: `auto`, or one of `SCHEMES`, to which the tags are then held.

    Raises:
        IllFormed: the scheme does not allow a tag at its place.
    """
    spans: list[list] = []
    open_type = None
    for token, tag in enumerate(tags):
        prefix, kind = _parts(tag, scheme)
        goes_on = prefix in ("I", "M", "E", "L") and kind == open_type
        if scheme not in ("auto", "plain"):
            before = tags[token - 1] if token else None
            _check(prefix, tag, before, open_type, goes_on, scheme)
        if goes_on:
            spans[-1][1] = token + 1
        elif kind is not None:
            spans.append([token, token + 1, kind])
        open_type = kind if prefix in ("B", "I", "M") else None
    if open_type is not None and scheme in ("bioes", "bilou"):
        raise IllFormed(f"the last tag {quoted(tags[-1])} leaves a span open in {scheme}")
    return [(first, end, kind) for first, end, kind in spans]


def tag_form(tag: str) -> bool:
    """Whether it is O, or has a prefix of some scheme, such as B-TYPE."""
    return tag == "O" or _PREFIXED.fullmatch(tag) is not None


def _odd_form(tag: str) -> bool:
    """Whether it seems to be meant for a tag with a prefix, or for O, but is written in another way."""
    return not tag_form(tag) and _ODD.fullmatch(unicodedata.normalize("NFKC", tag)) is not None


def tag_warnings(counts: Mapping[str, int], scheme: str) -> list[str]:
    """What is odd about the tags of a data set, each with how often it stands there; a sentence each.

    A tag without a prefix is a type by itself. Where others have one that is seldom meant, and it is never meant of
    what a reader takes for O.
    """
    if scheme != "auto":
        return []
    bare = {tag: count for tag, count in counts.items() if not tag_form(tag)}
    if not any(_PREFIXED.fullmatch(tag) for tag in counts):
        none = ("o", "0", "out", "outside", "none")
        schemed = any(likeness(tag.strip("'\"")) in none for tag in counts)  # parts of speech have no O
        bare = {tag: count for tag, count in bare.items() if likeness(tag) in none or (schemed and _odd_form(tag))}
    if not bare:
        return []
    ordered = sorted(bare, key=lambda tag: (-bare[tag], tag))
    summary = ", ".join(f"{display_name(tag)} ({bare[tag]:,} times)" for tag in ordered[:MOST_SHOWN])
    more = f" and {len(ordered) - MOST_SHOWN} more" if len(ordered) > MOST_SHOWN else ""
    return [
        f"tags without a prefix such as B- or I-: {summary}{more}; each such token is an entity by itself. Write O "
        "where there is none, or B-TYPE and I-TYPE; task.scheme: plain says that each token has a type of its own"
    ]


def _parts(tag: str, scheme: str) -> tuple[str, str | None]:
    """`B-person` -> (B, person); `O` -> ("", None); a tag without prefix -> ("", tag)."""
    if tag == "O":
        return "", None
    match = None if scheme == "plain" else _PREFIXED.fullmatch(tag)
    if scheme not in ("auto", "plain") and (match is None or match[1] not in _LETTERS[scheme]):
        forms = ", ".join(f"{letter}-TYPE" for letter in _LETTERS[scheme])
        raise IllFormed(f"the tag {quoted(tag)} is none of O, {forms} of {scheme}")
    return (match[1], match[2]) if match else ("", tag)


def _check(prefix: str, tag: str, before: str | None, open_type: str | None, goes_on: bool, scheme: str) -> None:
    after = f"after {quoted(before)}" if before is not None else "at the start"
    if scheme == "iob1":
        if prefix == "B" and (before is None or _PREFIXED.fullmatch(before) is None or before[2:] != tag[2:]):
            raise IllFormed(f"the tag {quoted(tag)} {after}: in iob1 B- only parts two spans of one type")
    elif prefix in ("I", "E", "L") and not goes_on:
        raise IllFormed(f"the tag {quoted(tag)} {after} continues no span")
    elif scheme in ("bioes", "bilou") and prefix in ("", "B", "S", "U") and open_type is not None:
        raise IllFormed(f"the tag {quoted(tag)} {after}: the span before is not closed")


def iob2_tags(labels: Sequence[str]) -> list[str]:
    """The tags that a model has for some types: O, then B and I of each."""
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in ("B", "I"))]
