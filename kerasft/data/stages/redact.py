"""`data.clean.redact`: personal data, which a model may learn by heart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kerasft.data.augmentation.marked_text import Edit
from kerasft.data.quality.personal import KINDS, personal_spans
from kerasft.data.stages.rewriting import Rewriting


class Redact(Rewriting):
    """Rows with an e-mail address or the number of a telephone, a payment card or a bank account."""

    name = "redact"
    what = "have personal data"
    rewrites = "mask"

    def edits(self, text: str) -> list[Edit]:
        return [Edit(start, end, KINDS[kind].mask) for start, end, kind in personal_spans(text)]

    def tell(self, text: str, edits: Sequence[Edit]) -> str:
        counts = Counter(kind for _, _, kind in personal_spans(text))  # never what they are: the record is kept
        return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
