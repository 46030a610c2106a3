"""`data.shots`: as many rows of each label, the same ones wherever they are drawn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kerasft.config.schema import Config
from kerasft.data.stages.base import Stage, Staged, Tables
from kerasft.errors import UserError
from kerasft.quoting import quoted

if TYPE_CHECKING:
    from kerasft.tasks.base import Task

SHOWN = 3  # labels in a message


class Shots(Stage):
    """A balanced sample of train.

    Each row has a number: the BLAKE2 digest of seed, draw, label and texts. The rows with the lowest numbers of each
    label are taken, so that neither the order of the file nor a library's generator has a say in it, and the rows of
    fewer shots are among those of more. Of copies one counts.
    """

    name = "shots"
    draws = True

    def applies(self, config: Config) -> bool:
        return config.data.shots is not None

    def apply(self, tables: Tables, config: Config, task: Task) -> Staged:
        train, shots = tables["train"], config.data.shots
        assert shots is not None  # applies
        texts = zip(*(train.column(name) for name in task.source_texts))
        by_label = rows_by_label(train.column("label"), texts, config.seed, config.data.draw)
        short = {label: len(rows) for label, rows in sorted(by_label.items()) if len(rows) < shots}
        if short:
            few = ", ".join(f"{quoted(label)} has {count}" for label, count in list(short.items())[:SHOWN])
            more = f" and {len(short) - SHOWN} more labels have fewer" if len(short) > SHOWN else ""
            raise UserError(
                f"data.shots: {shots} different rows of each label, but {few}{more}; lower it to "
                f"{min(short.values())}, or add rows"
            )
        rows = np.sort([row for every in by_label.values() for row in every[:shots]])
        drawn = train.select(rows)
        record = {"shots": shots, "draw": config.data.draw, "labels": len(by_label), "rows": drawn.column("where")}
        remark = f"data.shots: {len(rows):,} of {len(train):,} rows of train, {shots} of each of {len(by_label)} labels"
        return Staged({**tables, "train": drawn}, counts={self.name: record}, remarks=(remark,))


def rows_by_label(
    labels: Iterable[str], texts: Iterable[tuple[str, ...]], seed: int, draw: int
) -> dict[str, list[int]]:
    """Label -> its rows in the order in which they are drawn; of copies the first alone."""
    numbered: dict[str, dict[bytes, int]] = {}
    for row, (label, words) in enumerate(zip(labels, texts)):
        numbered.setdefault(label, {}).setdefault(row_number(seed, draw, label, words), row)
    return {label: [row for _, row in sorted(rows.items())] for label, rows in numbered.items()}


def row_number(seed: int, draw: int, label: str, texts: tuple[str, ...]) -> bytes:
    """8 bytes that say how early a row is drawn."""
    content = json.dumps([seed, draw, label, *texts], ensure_ascii=True)
    return hashlib.blake2b(content.encode(), digest_size=8).digest()
