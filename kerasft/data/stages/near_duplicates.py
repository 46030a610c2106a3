"""`data.clean.near_duplicates`: rows that nearly say again what another says, with the same answer."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.folding import folded
from kerasft.data.quality.likeness import MOST_CHARACTERS
from kerasft.data.quality.near import near_pairs
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class NearDuplicates(Cleaning):
    """Rows of train with nearly the texts of one that stays, and the same answer.

    Texts are gone through in their alphabetical order: one stays if none that stays is near it. So which ones stay
    does not depend on the order of rows, and each that goes has one near it that stays.
    """

    name = "near_duplicates"
    what = "nearly say what others say"

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        train, clean = tables["train"], config.data.clean
        assert clean is not None  # `applies`
        rows = (texts for batch in train.batches(4096, task.source_texts) for texts in zip(*batch.values()))
        texts = [" ".join(map(folded, task.without_marks(each))) for each in rows]
        different = sorted(set(texts))
        size = sum(map(len, different))
        if size > MOST_CHARACTERS:
            raise UserError(f"data.clean.near_duplicates: {size:,} characters are too many to compare; set it to null")
        pairs = near_pairs(different, clean.similarity)
        near: dict[int, list[int]] = {}
        for one, other in zip(pairs.first.tolist(), pairs.second.tolist()):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
        answers = task.row_answers(train) or [None] * len(train)
        members: dict[tuple[str, Hashable], list[int]] = {}
        for row, key in enumerate(zip(texts, answers)):
            members.setdefault(key, []).append(row)
        with_answer: dict[str, list[Hashable]] = {}
        for text, answer in members:
            with_answer.setdefault(text, []).append(answer)
        stays: set[tuple[str, Hashable]] = set()
        copies, wheres = {}, train.column("where")
        for number, text in enumerate(different):
            for answer in with_answer[text]:
                like = [different[each] for each in near.get(number, ()) if (different[each], answer) in stays]
                if not like:
                    stays.add((text, answer))
                    continue
                first = min(like)
                reason = min(wheres[row] for row in members[first, answer])
                copies |= {row: reason for row in members[text, answer]}
        return dict(sorted(copies.items()))
