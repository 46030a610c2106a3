"""How much is in a message, before each part of it is made an object: a look at its bytes, in protobuf's wire format.

Parts of two bytes, such as an empty handle in a tensor, become objects of a hundred, and while a map of half a million
entries is parsed nobody else has Python's lock. So all parts are counted, and this stops at a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4 open and close a group, whose fields follow
MESSAGE_COST = 2  # that of any other field is 1, and no field is shorter in bytes than its cost
Tree = Mapping[int, Any]  # number of a field that is a message -> the same of its fields, or NUMBERS
NUMBERS = "packed numbers of any length, each of which is counted"

_HANDLE: Tree = {6: {2: {2: {}}}}  # dtypes_and_shapes -> shape -> dim
# shape -> dim; integers of five kinds; handles; variants, which have tensors in them.
_TENSOR: dict[int, Any] = {2: {2: {}}, **dict.fromkeys((7, 10, 11, 13, 16, 17), NUMBERS), 14: _HANDLE}
_TENSOR[15] = {3: _TENSOR}
_FEATURE: Tree = {1: {}, 2: {}, 3: {1: NUMBERS}}  # lists of bytes, floats and integers
_EXAMPLE: Tree = {1: {1: {2: _FEATURE}}}  # features, with a map
# PredictRequest has its inputs, a map, at the top; those of classify and regress have input -> list -> examples.
PREDICT: Tree = {2: {2: _TENSOR}}
EXAMPLES: Tree = {2: {1: {1: _EXAMPLE}, 2: {1: _EXAMPLE, 2: _EXAMPLE}}}


def has_more(body: bytes, tree: Tree, most: int) -> bool:
    """Whether a message, with the messages in it that the tree names, has more fields and packed numbers than `most`.

    What is no message is looked at up to the place where that shows.
    """
    if len(body) <= most:
        return False
    count = 0
    within = [(0, len(body), tree)]
    while within:
        position, end, inner = within.pop()
        while position < end:
            tag, position = _varint(body, position, end)
            kind, count = tag & 7, count + 1
            if kind == BYTES:
                size, position = _varint(body, position, end)
                stop = min(end, position + size)
                part = inner.get(tag >> 3)
                if part is NUMBERS:
                    count += _numbers(body, position, stop)
                elif part is not None:
                    count += MESSAGE_COST - 1
                    within.append((position, stop, part))
                position = stop
            elif kind == VARINT:
                _, position = _varint(body, position, end)
            else:
                position += {FIXED64: 8, FIXED32: 4}.get(kind, 0)
            if count > most:
                return True
    return False


def _numbers(body: bytes, start: int, end: int) -> int:
    """How many packed numbers there are: each ends with the one byte of it that is below 0x80."""
    return int(np.count_nonzero(np.frombuffer(body, np.uint8, end - start, start) < 0x80)) if end > start else 0


def _varint(body: bytes, position: int, end: int) -> tuple[int, int]:
    """A number and the place behind it; what is cut off ends there."""
    value = shift = 0
    while position < end:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:  # no number of protobuf
            return 0, end
    return value, position
