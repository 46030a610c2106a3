"""Chinese characters that sound the same, as who types by Pinyin takes one for the other."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.section import Section
from kerasft.data.augmentation.base import Augmenter, Protected, drawn
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.augmentation.words import free_words
from kerasft.errors import UserError
from kerasft.invocation import install_command

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task
    from kerasft.tasks.base.augmentable import Augmentable

IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


class Homophones(Augmenter):
    """A character becomes another of train with its most frequent reading, tone included.

    Only characters of train: a tokenizer need not know others, and a rare one is no slip of the hand.

    Attributes:
        others: character -> those that sound like it.
    """

    name = "homophones"

    def __init__(self, section: Any, protected: Protected | None = None):
        super().__init__(section, protected)
        self.others: dict[str, str] = {}

    @classmethod
    def check(cls, section: Section, config: Config, task: Augmentable) -> None:
        if importlib.util.find_spec("pypinyin") is None:
            raise UserError(f"augment.homophones: pypinyin is not installed; {install_command('chinese')}")

    def learn(self, train: Table, task: Task) -> Sequence[str]:
        from pypinyin import Style, lazy_pinyin

        names = list(task.source_texts)
        texts = (text for batch in train.batches(1024, names) for column in batch.values() for text in column)
        found = sorted({character for text in texts for character in text if ideograph(character)})
        sounds: defaultdict[str, list[str]] = defaultdict(list)
        for character in found:
            sounds[lazy_pinyin(character, style=Style.TONE3)[0]].append(character)
        groups = [group for group in sounds.values() if len(group) > 1]
        self.others = {one: "".join(other for other in group if other != one) for group in groups for one in group}
        if not self.others:
            return ("augment.homophones: train has no Chinese characters that sound the same; nothing is changed",)
        return ()

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        places = [
            start for start, end in free_words(text, self.protected.always)
            if end == start + 1 and text.text[start] in self.others
        ]  # fmt: skip
        edits = []
        for place in drawn(random, places, self.section.characters, 1):
            others = self.others[text.text[place]]
            edits.append(Edit(place, place + 1, others[int(random.integers(len(others)))]))
        return edits


def ideograph(character: str) -> bool:
    """Whether it is a Chinese character."""
    return any(first <= ord(character) <= last for first, last in IDEOGRAPHS)
