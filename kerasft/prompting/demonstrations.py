"""Examples in the prompt (Brown et al. 2020, arXiv:2005.14165): which rows of train, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kerasft.config.schema import Config
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.data.stages.shots import row_number
from kerasft.errors import UserError
from kerasft.quoting import quoted

MOST_CANDIDATES = 2000  # that similarity chooses among: their tokens are in the model


class Example(NamedTuple):
    """The texts of a row, in the order of inputs, and its label."""

    texts: tuple[str, ...]
    label: str


def demonstrations(config: Config, inputs: Sequence[str], labels: Sequence[str]) -> list[Example]:
    """`prompting.demonstrations` rows of `data.train`, the same ones on every machine; where they are chosen by
    similarity, up to 2,000 rows to choose among.

    A row whose texts stand in `data.test` is none of them.

    Args:
        config: names the files; seed and draw choose.
        inputs: names of the texts of a row.
        labels: of the model.

    Raises:
        UserError: a label of train is none of these, or there are too few rows.
    """
    section, data = config.prompting, config.data
    assert section is not None  # who asks has one
    test: set[tuple[str, ...]] = set()
    if isinstance(data.test, (str, list)):
        test = {example.texts for example in _examples(config, data.test, inputs, labelled=False)}
    rows = dict.fromkeys(row for row in _examples(config, data.train, inputs) if row.texts not in test)
    for row in rows:
        if row.label not in labels:
            raise UserError(f"data.train: the label {quoted(row.label)} is none of task.labels; add it there")
    draw = config.seed, data.draw
    if section.choose == "similarity":
        return ordered(rows, section.demonstrations, False, draw, MOST_CANDIDATES)
    return ordered(rows, section.demonstrations, section.choose == "balance", draw)


def ordered(rows: Iterable[Example], count: int, balanced: bool, draw: tuple[int, int], most: int = 0) -> list[Example]:
    """So many rows by their numbers (`row_number`), or `most`, where there are more; balanced: of each label in turn.

    Raises:
        UserError: there are too few.
    """
    by_number = sorted(rows, key=lambda row: row_number(*draw, row.label, row.texts))
    if len(by_number) < count:
        raise UserError(
            f"prompting.demonstrations: {count}, but data.train has {len(by_number)} different rows; lower it"
        )
    if not balanced:
        return by_number[: max(count, most)]
    turns: dict[str, int] = {}
    rank = []
    for place, row in enumerate(by_number):
        turn = turns[row.label] = turns.get(row.label, -1) + 1
        rank.append((turn, place))
    return [by_number[place] for _, place in sorted(rank)[:count]]


def _examples(config: Config, sources: str | list[str], inputs: Sequence[str], labelled: bool = True) -> list[Example]:
    data, examples = config.data, []
    for record in read_records(sources, data.format, Reading.of(data)):
        texts = tuple(str(record.get(data.columns[name], name)).strip() for name in inputs)
        label = str(record.get(data.columns["label"], "label")).strip() if labelled else ""
        examples.append(Example(texts, label))
    return examples
