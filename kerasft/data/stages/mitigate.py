"""`data.mitigate`: train so that a model treats groups of people more alike.

Counterfactual rows (Lu et al. 2018, arXiv:1807.11714; Garg et al. 2019, arXiv:1809.10610) and reweighing (Kamiran and
Calders 2012, "Data preprocessing techniques for classification without discrimination").
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kerasft.config.data import LEAVE_ONE_OUT
from kerasft.config.mitigate import MitigateConfig
from kerasft.config.schema import Config
from kerasft.data.quality.group_words import GroupWords, group_words
from kerasft.data.sources.group_column import column_values
from kerasft.data.stages.base import WEIGHT, Stage, Staged, Tables
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

MOST_WEIGHT = 10.0  # of a row, and 1 / MOST_WEIGHT the least: a group with one row of a label must not rule
Row = Mapping[str, Any]


class Mitigate(Stage):
    """Rows of train with the words of another group, and weights of rows."""

    name = "mitigate"

    def applies(self, config: Config) -> bool:
        return config.data.mitigate is not None

    def check(self, config: Config, task: Task) -> None:
        asked = _asked(config)
        if not config.task.calibrates:
            raise UserError(
                f"data.mitigate: for one label a text, not for {config.task.name} as it is set here; set it to null"
            )
        if config.data.validation == LEAVE_ONE_OUT:
            raise UserError(
                f"data.mitigate: data.validation: {LEAVE_ONE_OUT} would leave rows in that are made of the one that it "
                "leaves out; set mitigate to null, or validation to a share"
            )
        if asked.group is not None and "reweigh" not in asked.methods:
            raise UserError("data.mitigate.group: is for the method reweigh; add it to methods, or set group to null")
        group_words(asked.words, asked.aspects, "data.mitigate")

    def apply(self, tables: Tables, config: Config, task: Task) -> Staged:
        asked, train, counts, remarks = _asked(config), tables["train"], {}, []
        words = group_words(asked.words, asked.aspects, "data.mitigate")
        rows = len(train)
        if "counterfactual" in asked.methods:
            train = train.from_rows(_with_exchanged(train, words, task.inputs), train.schema)
            counts["added"] = len(train) - rows
            remarks.append(f"data.mitigate: {len(train) - rows:,} rows with the words of another group join train")
        if "reweigh" in asked.methods:
            groups = _groups(train, config, asked, words, task.inputs)
            weights = reweighed(groups, list(map(str, train.column("label"))))
            schema = train.schema.append(pa.field(WEIGHT, pa.float32()))
            train = train.from_rows((row | {WEIGHT: each} for row, each in zip(_rows(train), weights)), schema)
            counts |= {"groups": len(set(groups)), "least_weight": min(weights), "largest_weight": max(weights)}
            remarks.append(
                f"data.mitigate: {len(set(groups)):,} groups; rows weigh {min(weights):.2f} to {max(weights):.2f}"
            )
        record = asked.model_dump(mode="json") | {"rows": rows} | counts
        return Staged({**tables, "train": train}, counts={self.name: record}, remarks=tuple(remarks))


def _asked(config: Config) -> MitigateConfig:
    assert config.data.mitigate is not None  # applies
    return config.data.mitigate


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for batch in table.batches(4096):
        yield from (dict(zip(batch, values)) for values in zip(*batch.values()))


def _with_exchanged(train: Table, words: Mapping[str, GroupWords], inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows, and behind them those with other words: one for each aspect that a row speaks of one group of."""
    yield from _rows(train)
    for row in _rows(train):
        texts = {name: row[name] for name in inputs}
        for aspect, each in words.items():
            others = each.others(texts)
            if others:
                digest = hashlib.blake2b("\0".join([aspect, *texts.values()]).encode("utf-8", "surrogatepass"))
                yield row | others[int.from_bytes(digest.digest()[:8], "little") % len(others)][1]


def _groups(
    train: Table, config: Config, asked: MitigateConfig, words: Mapping[str, GroupWords], inputs: Sequence[str]
) -> list[str]:
    """(rows,) the group of each; "" of none."""
    if asked.group is not None:
        return column_values(config, "train", asked.group, train.column("where"), "data.mitigate.group")
    texts = zip(*(train.column(name) for name in inputs))
    return [", ".join(filter(None, (each.group(" ".join(row)) for each in words.values()))) for row in texts]


def reweighed(groups: Sequence[str], labels: Sequence[str]) -> list[float]:
    """(rows,) weights: what a group and a label would share by chance, over what they share; the mean is about 1.

    Rows without a group are one, so that a label does not hang on whether a text speaks of people at all.
    """
    both, of_group, of_label = Counter(zip(groups, labels)), Counter(groups), Counter(labels)
    return [
        min(MOST_WEIGHT, max(1 / MOST_WEIGHT, of_group[group] * of_label[label] / (len(labels) * both[group, label])))
        for group, label in zip(groups, labels)
    ]
