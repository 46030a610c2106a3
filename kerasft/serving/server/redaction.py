"""Takes e-mail addresses, phone numbers and id numbers out of a text before it is logged.

What it knows are forms, not meanings: names, places and what else tells who wrote a text stay in it. So texts are
logged only where an operator asks for it (`--log-texts`), and never as they came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from tensorflow.core.example.example_pb2 import Example

from kerasft.serving.server.requests import INPUTS

MOST_CHARACTERS = 200  # of a text in the log
MOST_ROWS, MOST_TEXTS = 8, 32  # of a request in the log, and of a row
# Of a text that is looked at, on the event loop; half an address may stand at the end, which is left out.
MOST_LOOKED_AT, HALF = 4000, 400

EMAIL = re.compile(r"[^\s@<>\"',;:()\[\]]{1,64}@[^\s@<>\"',;()\[\]]{1,255}\.[^\W\d_]{2,}")
# Letters and digits in groups, as an IBAN is written.
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,8}\b")
# Cards, resident ids (the last may be X), social security numbers: with a phone's number of digits or more. A phone
# number may begin with a plus sign or a bracket. Digits may be of any script.
NUMBER = re.compile(r"(?<![\w.])[+(]{0,2}\d(?:[\s./()-]{0,2}\d){6,20}(?:[Xx](?!\w))?")
ID_DIGITS = 12  # more digits than a phone number of most countries has


def redact(text: str) -> str:
    """A text with [email], [phone] or [id] where such a thing stood."""
    text = EMAIL.sub("[email]", text)
    text = IBAN.sub("[id]", text)
    return NUMBER.sub(_number, text)


def _number(match: re.Match[str]) -> str:
    number = match[0]
    digits = sum(character.isdigit() for character in number)
    if number[-1] in "Xx" or (digits >= ID_DIGITS and not number.startswith(("+", "("))) or _is_ssn(number):
        return "[id]"
    return "[phone]"


def _is_ssn(text: str) -> bool:
    return re.fullmatch(r"\d{3}[- ]\d{2}[- ]\d{4}", text) is not None


def redacted_texts(inputs: Mapping[str, np.ndarray]) -> list[dict[str, str]]:
    """Inputs of a request -> its first rows for the log: redacted, then cut, so that no half of an address stays."""
    columns = {name: array[:MOST_ROWS] for name, array in inputs.items() if array.dtype == object and array.ndim == 1}
    if set(columns) == {INPUTS}:
        rows = [_features(example) for example in columns[INPUTS]]
    else:
        rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    return [{name: _excerpt(text) for name, text in row.items()} for row in rows]


def _excerpt(text: bytes) -> str:
    if len(text) <= MOST_LOOKED_AT:
        return redact(text.decode("utf-8", "replace"))[:MOST_CHARACTERS]
    return redact(text[:MOST_LOOKED_AT].decode("utf-8", "replace"))[:-HALF][:MOST_CHARACTERS]


def _features(example: bytes) -> dict[str, bytes]:
    features = Example.FromString(example).features.feature
    return {name: b" ".join(features[name].bytes_list.value) for name in sorted(features)[:MOST_TEXTS]}
