"""Mentions are exchanged within their type, as in Dai and Adel 2020, arXiv:2010.11683: mention replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.section import Section
from kerasft.data.augmentation.base import Augmenter, Protected, drawn
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task
    from kerasft.tasks.base.augmentable import Augmentable


class Mentions(Augmenter):
    """A span gets the text of another span of its type, out of train; its type stays.

    A type whose spans all have one text stays as it is, and so does a span that overlaps another.

    Args:
        section: `augment.mentions`.
        protected: not read: a whole mention is exchanged, whatever its words.

    Attributes:
        lexicon: type -> texts of its spans in train, each once.
    """

    name = "mentions"
    within_spans = True

    def __init__(self, section: Any, protected: Protected | None = None):
        super().__init__(section, protected)
        self.lexicon: dict[str, list[str]] = {}

    @classmethod
    def check(cls, section: Section, config: Config, task: Augmentable) -> None:
        if not task.typed_spans:
            raise UserError(
                f"augment.mentions: not for {config.task.name}, whose rows have no entities with types; leave it out"
            )

    def learn(self, train: Table, task: Task) -> Sequence[str]:
        texts: dict[str, set[str]] = {}
        for batch in train.batches(1024):
            for row in (dict(zip(batch, values)) for values in zip(*batch.values())):
                for marked in task.marked_texts(row).values():
                    for span in marked.spans:
                        texts.setdefault(span.kind, set()).add(marked.mention(span))
        self.lexicon = {kind: sorted(found) for kind, found in texts.items()}
        alone = sorted(kind for kind, found in self.lexicon.items() if len(found) == 1)
        if not alone:
            return ()
        more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
        return (f"augment.mentions: of {', '.join(alone[:5])}{more} train has one mention, which stays as it is",)

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        spans = [
            span
            for span in text.spans
            if len(self.lexicon.get(span.kind, ())) > 1
            and not any(other is not span and other.start < span.end and span.start < other.end for other in text.spans)
        ]
        edits = []
        for span in drawn(random, spans, self.section.spans, 1):
            others = self.lexicon[span.kind]
            index, mention = int(random.integers(len(others) - 1)), text.mention(span)
            # One other than its own: its own place in the list has the last one's.
            new = others[index] if others[index] != mention else others[-1]
            if new != mention:
                edits.append(Edit(span.start, span.end, new))
        return edits
