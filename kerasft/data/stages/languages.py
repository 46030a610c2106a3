"""`data.clean.languages`: rows in a language that the model is not for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.languages import UNKNOWN, check_installed, language_of
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Languages(Cleaning):
    """Rows of train whose texts are surely in none of the expected languages."""

    name = "languages"
    what = "are in another language"

    def check(self, config: Config, task: Task) -> None:
        check_installed(f"data.clean.languages: {self.action(config)}")

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        rows = (texts for batch in tables["train"].batches(4096, task.source_texts) for texts in zip(*batch.values()))
        codes = [language_of(" ".join(task.without_marks(texts))) for texts in rows]
        clean = config.data.clean
        assert clean is not None  # `applies`
        expected = clean.expected_languages
        if expected is None:
            counts = Counter(code for code in codes if code != UNKNOWN)
            expected = [min(counts, key=lambda code: (-counts[code], code))] if counts else []
        return {row: None for row, code in enumerate(codes) if code not in (UNKNOWN, *expected)}
