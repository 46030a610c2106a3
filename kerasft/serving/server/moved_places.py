"""Places in an answer, moved back to the text that a client sent where a filter masked a part of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasft.serving.adapter_facts import INPUT as ADAPTER
from kerasft.serving.filters import Span, merged
from kerasft.serving.server.loaded_model import Arrays

PLACES = (("start", "end"), ("starts", "ends"))  # outputs that hold code points of a text
CONTEXT, COLUMNS = "context", "columns"  # the text that answers to questions are in; which text each place is of


class MovedPlaces:
    """Where each code point of the masked texts of one request comes from."""

    def __init__(self):
        self._origins: dict[tuple[str, int], tuple[np.ndarray, int]] = {}

    def add(self, name: str, row: int, text: str, mask: str, places: Sequence[Span]) -> None:
        """A text of which parts become a mask; it may be masked already.

        Args:
            name: of the input.
            row: of the request.
            text: before it.
            mask: what stands for each part.
            places: of the parts.
        """
        own, at = [], 0
        for start, end in merged(places):
            own += [(place, place + 1) for place in range(at, start)] + [(start, end)] * len(mask)
            at = end
        own += [(place, place + 1) for place in range(at, len(text))]
        origins, length = np.array(own, np.int64).reshape(-1, 2), len(text)
        if (name, row) in self._origins and length:
            before, length = self._origins[name, row]
            origins = np.stack([before[origins[:, 0], 0], before[origins[:, 1] - 1, 1]], 1)
        self._origins[name, row] = origins, length

    def moved(self, outputs: Arrays, inputs: Sequence[str]) -> Arrays:
        """Outputs with the places that they have in the texts as these were sent.

        Args:
            outputs: of the model for the masked texts.
            inputs: names of its texts.
        """
        names = sorted(set(inputs) - {ADAPTER})
        if not self._origins or (len(names) > 1 and COLUMNS not in outputs and CONTEXT not in names):
            return outputs
        changed = dict(outputs)
        for start, end in PLACES:
            if start not in outputs or end not in outputs:
                continue
            changed[start], changed[end] = outputs[start].copy(), outputs[end].copy()
            for (name, row), (origins, length) in self._origins.items():
                if COLUMNS in outputs:
                    mine = outputs[COLUMNS][row] == names.index(name)
                elif name == (CONTEXT if CONTEXT in names else names[0]):
                    mine = np.ones(outputs[start][row].shape, bool)
                else:
                    continue
                for key, table in (
                    (start, np.append(origins[:, 0], length)),
                    (end, np.insert(origins[:, 1], 0, 0)),
                ):
                    places = outputs[key][row]
                    back = table[np.clip(places, 0, len(table) - 1)]
                    changed[key][row] = np.where(mine & (places >= 0), back, places)
        return changed
