"""Groups of people, by a column and by the words in texts; and what a mitigation changes for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.audit.figures import Figures, without
from kerasft.audit.subject import Subject
from kerasft.data.quality.group_words import group_words
from kerasft.data.sources.group_column import column_values
from kerasft.errors import UserError
from kerasft.evaluation.bias.exchange import exchange
from kerasft.evaluation.bias.fairness import fairness
from kerasft.inference.local import LocalPredictor


def bias(subject: Subject) -> Figures:
    """Groups of people, by a column and by the words in texts."""
    if not subject.one_label or not subject.task.judges:
        return without("its answers are not one label of several")
    return by_groups(subject, subject.predictor, subject.answers)


def by_groups(subject: Subject, predictor: LocalPredictor, answers: Sequence[dict[str, Any]]) -> Figures:
    """How a model answers for groups of people.

    Args:
        subject: whose rows are looked at.
        predictor: the model.
        answers: its answers to these rows.
    """
    given_names = [str(answer) for answer in subject.judged(answers, range(len(subject.rows)))[0]]
    truths = [str(row["label"]) for row in subject.whole]
    labels = sorted({*truths, *given_names})
    number = {label: index for index, label in enumerate(labels)}
    true, given = (np.array([number[name] for name in names]) for names in (truths, given_names))
    groupings: dict[str, list[str]] = {}
    if subject.settings.group is not None:
        groupings[f"column {subject.settings.group}"] = column_groups(subject, subject.settings.group)
    words = group_words(subject.settings.words, None, "--words")
    for aspect, of_aspect in words.items():
        groupings[aspect] = [of_aspect.group(" ".join(row.values())) for row in subject.rows]
    seed, found = subject.settings.seed, {"groups": {}, "exchange": {}}
    for name, groups in groupings.items():
        if any(groups):
            found["groups"][name] = fairness(true, given, groups, labels, seed)

    def ask(rows: Sequence[dict[str, str]]) -> tuple[list[str], list[float]]:
        each = predictor.answer(list(rows))
        return [str(subject.task.verdict(one, subject.whole[0])[0]) for one in each], [one["score"] for one in each]

    for aspect, of_aspect in words.items():
        figures = exchange(subject.rows, of_aspect, ask)
        if figures["rows"]:
            found["exchange"][aspect] = figures
    found["mentions"] = {name: dict(Counter(filter(None, groups))) for name, groups in groupings.items()}
    return found


def column_groups(subject: Subject, column: str) -> list[str]:
    """(rows,) the value of the group column of each row; "" where it has none. It reaches neither table nor model.

    Raises:
        UserError: there is no such column, or rows do not say where they are from.
    """
    config, split = subject.run.config, subject.settings.split
    if "where" not in subject.table.schema.names:
        raise UserError(f"--group {column}: rows of {config.task.name} do not keep where they stand; leave it out")
    return column_values(config, split, column, [row["where"] for row in subject.whole], "--group")
