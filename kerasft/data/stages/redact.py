"""`data.clean.redact`: personal data, which a model may learn by heart."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.personal import KINDS, personal_spans
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Redact(Cleaning):
    """Rows with an e-mail address or the number of a telephone, a payment card or a bank account."""

    name = "redact"
    what = "have personal data"
    rewrites = ("mask",)

    def check(self, config: Config, task: Task) -> None:
        self.check_rewriting(config, task)

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        rows = (texts for batch in tables["train"].batches(4096, list(task.texts)) for texts in zip(*batch.values()))
        return {row: None for row, texts in enumerate(rows) if any(map(personal_spans, texts))}

    def rewrite(self, text: str) -> tuple[str, str]:
        spans = personal_spans(text)
        for start, end, kind in reversed(spans):
            text = text[:start] + KINDS[kind].mask + text[end:]
        counts = Counter(kind for _, _, kind in spans)  # never what they are: the record is kept
        return text, ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
