"""`data.clean.normalise`: texts that were decoded wrongly, or have control characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.augmentation.marked_text import Edit
from kerasft.data.quality.repair import check_installed, differences, repaired
from kerasft.data.stages.rewriting import Rewriting

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Normalise(Rewriting):
    """Rows with damaged texts. What is only unusual (quotes, ligatures, width) stays: test has it, too."""

    name = "normalise"
    what = "have damaged texts"
    rewrites = "fix"

    def check(self, config: Config, task: Task) -> None:
        check_installed(f"data.clean.normalise: {self.action(config)}")

    def edits(self, text: str) -> list[Edit]:
        return [Edit(*each) for each in differences(text, repaired(text))]

    def tell(self, text: str, edits: Sequence[Edit]) -> str:
        return "repaired"
