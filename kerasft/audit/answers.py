"""How answers hold: under changes of texts, on parts of the split, and where somebody searches for changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.audit.figures import Figures, without
from kerasft.audit.subject import Subject
from kerasft.evaluation.calibration import expected_calibration_error, reliability_bins
from kerasft.evaluation.robustness.base import Perturbation, changed
from kerasft.evaluation.robustness.measure import compared, compared_numbers
from kerasft.evaluation.robustness.registry import PERTURBATIONS
from kerasft.evaluation.robustness.slices import clusters, length_parts, worst_slices
from kerasft.evaluation.statistics import share
from kerasft.explain.edits import BUDGET, fewest_edits, misspellings
from kerasft.explain.neighbours import WordNeighbours
from kerasft.explain.questions import asker
from kerasft.explain.unknown_texts import unknown_texts
from kerasft.tasks.base import Task

MOST_EXAMPLES = 3  # of a change of texts
MOST_PAIRS = 6  # of a search


def robustness(subject: Subject) -> Figures:
    """What each kind of change does to the answers."""
    task = subject.task
    if not (task.judges or task.answers_numbers):
        return without(f"single answers of a {task.config.task.name} are not compared")
    measure = "mean error" if task.answers_numbers else task.judged
    found: Figures = {"rows": len(subject.rows), "measure": measure, "numbers": task.answers_numbers, "changes": {}}
    with subject.terminal.progress("robustness", len(PERTURBATIONS), unit="changes") as line:
        for number, perturbation in enumerate(PERTURBATIONS):
            found["changes"][perturbation.name] = _perturbed(subject, perturbation)
            line.update(number + 1)
    return found


def _perturbed(subject: Subject, perturbation: Perturbation) -> Figures:
    seed = subject.settings.seed
    rows = [{name: changed(perturbation, text, seed) for name, text in row.items()} for row in subject.rows]
    numbers = [
        number
        for number, row in enumerate(rows)
        if row != subject.rows[number] and answerable(subject.task, subject.whole[number], row)
    ]
    facts = {"what": perturbation.what, "expected": perturbation.expected}
    if not numbers:
        return facts | {"rows": 0}
    before, right_before = subject.verdicts
    after, right_after = subject.judged(subject.predictor.answer([rows[number] for number in numbers]), numbers)
    mine = [before[number] for number in numbers]
    if subject.task.answers_numbers:
        numbers_before = [float(str(value)) for value in mine], [float(str(value)) for value in after]
        return facts | compared_numbers(*numbers_before, right_before[numbers], right_after, seed)
    figures = compared(mine, after, right_before[numbers], right_after, seed)
    examples = [
        {
            "text": " | ".join(subject.rows[number].values()),
            "changed": " | ".join(rows[number].values()),
            "before": str(old),
            "after": str(new),
        }
        for number, old, new in zip(numbers, mine, after)
        if old != new
    ]
    return facts | figures | {"examples": examples[:MOST_EXAMPLES]}


def answerable(task: Task, row: Mapping[str, Any], changed_row: Mapping[str, str]) -> bool:
    """Whether changed texts still hold what the truth of a row is about, so that an answer to them can be judged.

    Args:
        task: where its answers are about places in texts: marks in them, and the words of spans, must be there.
        row: with the truth.
        changed_row: {input: text}.
    """
    if not task.places_in_texts:
        return True
    for name, marked in task.marked_texts(row).items():
        text, now = row[name], changed_row[name]
        if len(text) - len(task.without_marks((text,))[0]) != len(now) - len(task.without_marks((now,))[0]):
            return False
        words = [marked.mention(span).casefold() for span in marked.spans]
        if "starts" in row and any(each not in now.casefold() for each in words):
            return False
    return True


def slices(subject: Subject) -> Figures:
    """Parts of the split on which it is worse: by length, label, source and cluster."""
    if not subject.task.judges:
        return without(f"single answers of a {subject.task.config.task.name} are not judged")
    texts = [" ".join(row.values()) for row in subject.rows]
    parts: dict[str, Sequence[str]] = {
        "length": length_parts([len(text.split()) for text in texts]),
        "words": clusters(texts, subject.settings.seed),
    }
    labels = [row.get("label") for row in subject.whole]
    if all(isinstance(label, str) for label in labels):
        parts["label"] = [str(label) for label in labels]
    sources = [str(row.get("where", "")).rpartition(":")[0] for row in subject.whole]
    if len(set(sources)) > 1:
        parts["source"] = sources
    counted = f"{subject.task.judged} of at least 0.5" if subject.task.judged_in_parts else subject.task.judged
    return {"measure": counted} | worst_slices(subject.verdicts[1] >= 0.5, parts)


def calibration(subject: Subject) -> Figures:
    """Whether confidence can be taken for probability, and whether unknown texts show."""
    if not subject.one_label or not subject.task.judges:
        return without("its answers have no probability of one label")
    right, scores = subject.verdicts[1] > 0.5, np.array([answer["score"] for answer in subject.answers])
    inside = scores >= 0
    bins = reliability_bins(np.clip(scores[inside], 0, 1), right[inside])
    found: Figures = {
        "rows": int(inside.sum()),
        "expected_calibration_error": expected_calibration_error(bins),
        "mean_confidence": float(scores[inside].mean()),
        "accuracy": share(int(right.sum()), len(right)),
        "temperature": subject.task.state.get("temperature"),
        "reliability": bins,
    }
    if subject.vectors is None or subject.trained is None:
        return found | {"unknown_texts": None}
    unknown = unknown_texts(subject.trained, subject.vectors, subject.rows, subject.whole, subject.train_vectors)
    return found | {"unknown_texts": unknown}


def attacks(subject: Subject) -> Figures:
    """How few changes of a text change its answer, where somebody searches for them."""
    if not subject.one_label or not subject.task.judges or subject.task.inputs != ("text",):
        return without("its answers are not one label of one text")
    kinds = {"characters": attacked(subject, misspellings)}
    if subject.trained is not None:  # near words are those of its vectors
        near = WordNeighbours(subject.predictor.explainer, (row["text"] for row in subject.train))
        kinds["words"] = attacked(subject, near)
    return {"kinds": kinds}


def attacked(subject: Subject, candidates: Callable[[str], Sequence[str]]) -> Figures:
    """One kind of change, on a sample of the rows that are answered rightly."""
    right = np.flatnonzero(subject.verdicts[1] == 1)
    numbers = np.sort(np.random.default_rng(subject.settings.seed + 3).permutation(right)[: subject.settings.explained])
    ask, found, examples = asker(subject.predictor), [], []
    with subject.terminal.progress("attack", len(numbers), unit="texts") as line:
        for count, number in enumerate(numbers):
            text = subject.rows[number]["text"]
            edited = fewest_edits(text, ask, candidates)
            found.append(edited)
            if edited is not None and len(examples) < MOST_PAIRS:
                pair = {"text": text, "changed": edited.text}
                examples.append(pair | {"before": str(subject.verdicts[0][number]), "after": edited.label})
            line.update(count + 1)
    hits = [edited for edited in found if edited is not None]
    return {
        "budget": BUDGET,
        "changed": share(len(hits), len(found)),
        "words_changed": float(np.mean([len(each.edits) / each.words for each in hits])) if hits else None,
        "queries": float(np.mean([each.queries for each in hits])) if hits else None,
        "examples": examples,
    }
