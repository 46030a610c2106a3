"""What an inspection looks for where a text is written for another: copies, odd lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasft.data.quality.base import Check, Finding, Inspected
from kerasft.data.quality.folding import folded

FEWEST = 20  # rows from which on a middle ratio of lengths means something
FACTOR = 9.0  # of the middle ratio, up or down: as Moses' clean-corpus-n takes pairs for misaligned
FEWEST_CHARACTERS = 20  # of both sides together; ratios of shorter texts vary by themselves


class WrittenAnswers(Check):
    """Outputs that are their inputs, or are out of proportion to them."""

    kinds = {"copied_inputs": "info", "length_ratios": "warning"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        source = data.task.source_texts[-1]
        for rows in data:
            inputs, outputs = rows.column(source), rows.column("output")
            copies = [
                row
                for row, pair in enumerate(zip(inputs, outputs))
                if pair[1].strip() and len({*map(folded, pair)}) == 1
            ]
            if copies:
                yield self.finding("copied_inputs", rows, copies, "have an output that is its input")
            yield from self._ratios(rows, inputs, outputs)

    def _ratios(self, rows, inputs: list[str], outputs: list[str]) -> Iterator[Finding]:
        lengths = np.array([[len(one.strip()), len(other.strip())] for one, other in zip(inputs, outputs)], float)
        full = (lengths > 0).all(1) & (lengths.sum(1) >= FEWEST_CHARACTERS)  # (rows,)
        if full.sum() < FEWEST:
            return
        ratios = np.log(np.maximum(lengths[:, 1], 1) / np.maximum(lengths[:, 0], 1))
        middle = float(np.median(ratios[full]))
        unusual = np.flatnonzero(full & (np.abs(ratios - middle) > np.log(FACTOR))).tolist()
        if unusual:
            usual = float(np.exp(middle))
            what = f"have an output more than {FACTOR:g} times as long or as short as usual ({usual:.2f} of the input)"
            notes = {row: f"{np.exp(ratios[row]):.2f} of the input" for row in unusual}
            yield self.finding("length_ratios", rows, unusual, what, "see whether the sides belong together", notes)
