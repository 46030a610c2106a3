"""What an export is asked before it may be served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Inputs = Mapping[str, Sequence[bytes]]
Numbers = Mapping[str, Mapping[str, np.ndarray]]  # signature -> what it takes besides the inputs of all


def probe_inputs(columns: Sequence[str], max_length: int) -> dict[str, list[bytes]]:
    """{column: (rows,) byte strings}: the texts that break servers, from none to over `max_length` tokens."""
    texts = [
        b"",
        b"a",
        b" \t\n",
        b"Shares of the company rose 3.5% on Monday, its best day in a year.",
        b"the oil price fell again " * max_length,
        b"a\x00b",
        b"\xff\xfe abc",
        "caf\u00e9 na\u00efve\u00a0r\u00e9sum\u00e9".encode(),
        "\U0001f40d \U0001f469\u200d\U0001f4bb \u2764\ufe0f".encode(),
        "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u3002".encode(),
    ]
    # Rotated, so that a pair joins different texts, and the longest one stands in either place.
    return {column: texts[shift:] + texts[:shift] for shift, column in enumerate(columns)}


def probe_numbers(numbers: Mapping[str, Mapping[str, tuple[str, Sequence[float]]]], rows: int) -> Numbers:
    """{signature: {input: (dtype, values)}}, as `Task.numbers` has them -> {signature: {input: (rows,)}}, in turn."""
    return {
        key: {name: np.resize(np.array(values, dtype), rows) for name, (dtype, values) in inputs.items()}
        for key, inputs in numbers.items()
    }


def rows_of(inputs: Inputs) -> int:
    """How many rows columns of one length have."""
    return len(next(iter(inputs.values())))
