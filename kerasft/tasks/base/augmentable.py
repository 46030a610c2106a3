"""Which texts of a row an augmentation may change, and what moves with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasft.data.augmentation.marked_text import MarkedText
from kerasft.tasks.base.comparable import Comparable


class Augmentable(Comparable):
    """The part of a task's contract that `augment` reads.

    Attributes:
        augmentable: whether rows of train may be changed one by one; not where texts fill the rows of a model together.
        typed_spans: whether the spans of its texts have types, within which they can be exchanged.
        mixes_vectors: whether its last layer reads one vector a row, and its losses can be mixed.
        has_classes: whether a row has one label, and `stratify` gives the rows of each.
    """

    augmentable = True
    typed_spans = False
    mixes_vectors = False
    has_classes = False

    def marked_texts(self, row: Mapping[str, Any]) -> dict[str, MarkedText]:
        """Name -> each text of a row that may be changed, with the spans that its answer is made of."""
        return {name: MarkedText(row[name]) for name in self.source_texts}

    def with_texts(self, row: Mapping[str, Any], texts: Mapping[str, MarkedText]) -> dict[str, Any]:
        """The row with other texts, and with its spans where they are in these.

        Args:
            row: is left as it is.
            texts: what `marked_texts` gave, edited.
        """
        return {**row, **{name: marked.text for name, marked in texts.items()}}
