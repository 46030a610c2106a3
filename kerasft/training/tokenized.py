"""The splits of a run as its model reads them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from kerasft.assembly import Assembled
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.cache.cache import FeatureCache
from kerasft.data.prepared.beside import with_beside
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.digests import UNLABELLED
from kerasft.data.tables.table import Table
from kerasft.models.tokenizers.digest import reader_digest
from kerasft.models.tokenizers.traced import graph_seconds
from kerasft.tasks.base import Task
from kerasft.training.augmentation import augmented
from kerasft.training.objectives.base import Objective
from kerasft.training.unlabelled import joined, with_unlabelled


def tokenized(
    config: Config,
    task: Task,
    tables: Mapping[str, Table],
    assembled: Assembled,
    cache: FeatureCache | None,
    objective: Objective,
    terminal: Terminal,
) -> tuple[dict[str, Prepared], Prepared, dict[str, Any]]:
    """Every split as the model reads it; what a training learns from, with what the objective reads beside; figures.

    Args:
        tables: the splits, and as `UNLABELLED` texts that the objective's teacher answers, if there are any.
    """
    prepared: dict[str, Prepared] = {}
    reader = reader_digest(assembled.backbone, assembled.tokenizer) if cache else None

    def tokenize(split: str, table: Table) -> Prepared:
        weighted = split == "train"
        make = functools.partial(task.prepare, table, assembled.preprocessor, weighted=weighted)
        settings = {**task.features_made_from(weighted), "reader": reader}
        return make() if cache is None else cache.prepared(split, table, settings, make)

    texts = tables.get(UNLABELLED)
    rows = tables["train"] if texts is None else joined(tables["train"], texts)
    with terminal.progress("tokenize", sum(map(len, tables.values())), unit="examples") as line:
        count, before = 0, graph_seconds()
        for split, table in tables.items():
            prepared[split] = tokenize("train", rows) if split == UNLABELLED else tokenize(split, table)
            count += len(table)
            line.graph_seconds = graph_seconds() - before
            line.update(count)
    train, figures, lines = augmented(config, task, tables["train"], prepared["train"], tokenize)
    if texts is not None:
        train, figures = with_unlabelled(prepared.pop(UNLABELLED), train), {**figures, "unlabelled": len(texts)}
    for message in (*lines, *(cache.lines() if cache else ())):
        terminal.line(message)
    objective.read_rows(rows)
    return prepared, with_beside(train, objective.beside_targets(train)), figures
