"""How many fields a message has, before each is made an object: a look at its bytes, in protobuf's wire format.

A map of half a million entries keeps Python's lock for half a second while it is parsed; this stops at a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4 open and close a group, whose fields follow
Tree = Mapping[int, Any]  # number of a field that is a message -> the same of its fields

_EXAMPLE: Tree = {1: {}}  # features, with a map
# PredictRequest has its inputs, a map, at the top; those of classify and regress have input -> list -> examples.
PREDICT: Tree = {}
EXAMPLES: Tree = {2: {1: {1: _EXAMPLE}, 2: {1: _EXAMPLE, 2: _EXAMPLE}}}


def has_more_fields(body: bytes, tree: Tree, most: int) -> bool:
    """Whether a message and the messages in it that the tree names have more fields than `most`, all together.

    What is no message is looked at up to the place where that shows.
    """
    fields = 0
    within = [(0, len(body), tree)]
    while within:
        place, end, inner = within.pop()
        while place < end:
            tag, place = _varint(body, place, end)
            fields += 1
            if fields > most:
                return True
            kind = tag & 7
            if kind == BYTES:
                size, place = _varint(body, place, end)
                if tag >> 3 in inner:
                    within.append((place, min(end, place + size), inner[tag >> 3]))
                place += size
            elif kind == VARINT:
                _, place = _varint(body, place, end)
            else:
                place += {FIXED64: 8, FIXED32: 4}.get(kind, 0)
    return False


def _varint(body: bytes, place: int, end: int) -> tuple[int, int]:
    """A number and the place behind it; what is cut off ends there."""
    value = shift = 0
    while place < end:
        byte = body[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:  # no number of protobuf
            return 0, end
    return value, place
