"""`data.clean.normalise`: texts that were decoded wrongly, or have control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.repair import check_installed, repaired
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Normalise(Cleaning):
    """Rows with damaged texts. What is only unusual (quotes, ligatures, width) stays: test has it, too."""

    name = "normalise"
    what = "have damaged texts"
    rewrites = ("fix",)

    def check(self, config: Config, task: Task) -> None:
        self.check_rewriting(config, task)
        check_installed(f"data.clean.normalise: {self.action(config)}")

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        rows = (texts for batch in tables["train"].batches(4096, list(task.texts)) for texts in zip(*batch.values()))
        return {row: None for row, texts in enumerate(rows) if any(repaired(text) != text for text in texts)}

    def rewrite(self, text: str) -> tuple[str, str]:
        after = repaired(text)
        return after, "repaired" if after != text else ""
