"""Groups of people, by a column and by the words in texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kerasft.audit.figures import Figures, without
from kerasft.audit.groups import column_groups, known_words
from kerasft.audit.subject import Subject
from kerasft.evaluation.bias.exchange import exchange
from kerasft.evaluation.bias.fairness import fairness


def bias(subject: Subject) -> Figures:
    """Groups of people, by a column and by the words in texts."""
    if not subject.one_label or not subject.task.judges:
        return without("its answers are not one label of several")
    answers, _ = subject.verdicts
    truths = [str(row["label"]) for row in subject.whole]
    labels = sorted({*truths, *map(str, answers)})
    number = {label: index for index, label in enumerate(labels)}
    true, given = (np.array([number[str(name)] for name in names]) for names in (truths, answers))
    groupings: dict[str, list[str]] = {}
    if subject.settings.group is not None:
        groupings[f"column {subject.settings.group}"] = column_groups(subject)
    words = known_words(subject.run.config)
    for aspect, group_words in words.items():
        groupings[aspect] = [group_words.group(" ".join(row.values())) for row in subject.rows]
    seed, found = subject.settings.seed, {"groups": {}, "exchange": {}}
    for name, groups in groupings.items():
        if any(groups):
            found["groups"][name] = fairness(true, given, groups, labels, seed)

    def ask(rows: Sequence[dict[str, str]]) -> tuple[list[str], list[float]]:
        each = subject.predictor.answer(list(rows))
        return [str(subject.task.verdict(one, subject.whole[0])[0]) for one in each], [one["score"] for one in each]

    for aspect, group_words in words.items():
        figures = exchange(subject.rows, group_words, ask)
        if figures["rows"]:
            found["exchange"][aspect] = figures
    found["mentions"] = {name: dict(Counter(filter(None, groups))) for name, groups in groupings.items()}
    return found
