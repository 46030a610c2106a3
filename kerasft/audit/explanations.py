"""Whether explanations are true of a model, and which words its answers hang on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.attribution.base import Attributed, Question
from kerasft.attribution.explainer import Asked, as_json
from kerasft.attribution.registry import ATTRIBUTIONS, DEFAULT, create
from kerasft.audit.figures import NO_GRADIENTS, Figures, without
from kerasft.audit.subject import Subject
from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.evaluation.statistics import share
from kerasft.explain import faithfulness as measure
from kerasft.explain.mosaics import Mosaic, mosaics, share_inside
from kerasft.explain.shortcuts import label_words, one_word_hidden
from kerasft.explain.shortcuts import shortcuts as found_in
from kerasft.explain.stability import new_head, stability

SHOWN = 6  # texts whose words the page shows


def faithfulness(subject: Subject) -> Figures:
    """Whether each method's explanations are true of this model."""
    if not subject.task.explains:
        return without(f"answers of a {subject.task.config.task.name} are not explained word by word")
    if subject.trained is None:
        return without(NO_GRADIENTS)
    if not subject.rows:
        return without("the rows of its data have no prompts to answer")
    model = subject.predictor.explainer.model
    questions = [asked.question for asked in subject.explained]
    if not questions:
        return without("no answer has anything to explain")
    results, found = {}, {}
    for name in ATTRIBUTIONS:
        results[name], seconds = measure.timed(model, create(name), questions)
        gaps = [result.gap for result in results[name]]
        found[name] = {
            "seconds": seconds,
            "gap_median": float(np.median(gaps)),
            "gap_95": float(np.quantile(gaps, 0.95)),
            "complete": ATTRIBUTIONS[name].complete,
        }
    rows = []
    with subject.terminal.progress("faithfulness", len(questions), unit="texts") as line:
        for row in measure.measured_rows(model, questions, results, subject.settings.seed):
            rows.append(row)
            line.update(len(rows))
    for name, figures in measure.faithfulness(rows, subject.settings.seed).items():
        found.setdefault(name, {}).update(figures)
    stable = _stability(subject, questions, results)
    for name, figure in stable.pop("methods", {}).items():
        found[name]["stability"] = figure
    inputs = subject.predictor.explainer.inputs
    shown = [
        as_json(asked, result, DEFAULT, inputs) for asked, result in zip(subject.explained[:SHOWN], results[DEFAULT])
    ]
    figures = {"rows": len(questions), "measured": len(rows), "methods": found, "new_head": stable}
    return figures | {"mosaics": _mosaics(subject), "examples": shown}


def _stability(
    subject: Subject, questions: Sequence[Question], results: Mapping[str, Sequence[Attributed]]
) -> dict[str, Any]:
    """How alike explanations are under a new head, and how many of the answers it gives are the same."""
    trained = subject.trained
    if trained is None or subject.vectors is None or trained.model is not subject.predictor.explainer.model.model:
        return without("for one label a text alone, a new last layer is fitted")
    targets = np.asarray(subject.task.targets(subject.train_table))
    known = targets < len(subject.task.state["labels"])
    vectors, seed = subject.train_vectors[known], subject.settings.seed
    before, _ = subject.vectors(subject.rows)
    with new_head(trained.model, vectors, targets[known], seed):
        after, _ = subject.vectors(subject.rows)
        found = stability(subject.predictor.explainer.model, questions, results, seed)
    same = int((before.argmax(-1) == after.argmax(-1)).sum())
    return {"same_answers": share(same, len(before)), "train_rows": len(vectors), "methods": found}


def _mosaics(subject: Subject) -> Figures | None:
    """The mean share of positive attribution in the right half of two texts, by method; None without such labels."""
    if not subject.one_label or subject.task.inputs != ("text",):
        return None
    answers, right = subject.verdicts
    known = subject.task.state["labels"]
    keep = [number for number, good in enumerate(right) if good == 1 and answers[number] in known]
    texts, labels = [subject.rows[number]["text"] for number in keep], [str(answers[number]) for number in keep]
    count = max(1, subject.settings.explained // 2)  # each is explained twice
    drawn = mosaics(texts, labels, count, subject.settings.seed)
    explainer = subject.predictor.explainer
    alone, between = [], []
    for one in drawn:
        asked = explainer.ask([{"text": one.text}], one.label)[0][0]
        if asked.question.read().all():  # the model reads both halves to their ends
            alone.append((one, asked))
            between.append((one, explainer.ask([{"text": one.text}], one.label, one.other)[0][0]))
    return {"pairs": len(alone), "methods": _shares(subject, alone), "between": _shares(subject, between)}


def _shares(subject: Subject, pairs: Sequence[tuple[Mosaic, Asked]]) -> Figures:
    """Method -> what of the positive attribution is in the right half of mosaics, of what is asked of each."""
    found = {}
    for name in ATTRIBUTIONS:
        model = subject.predictor.explainer.model
        results = create(name).attribute(model, [asked.question for _, asked in pairs])
        each = [share_inside(one, asked.words, result) for (one, asked), result in zip(pairs, results)]
        values = np.array([value for value in each if value is not None])
        if len(values):
            interval = bootstrap_interval(lambda sample: float(sample.mean()), values, seed=subject.settings.seed)
            found[name] = {"value": float(values.mean()), "low": interval["low"], "high": interval["high"]}
    return found


def shortcuts(subject: Subject) -> Figures:
    """What each label hangs on."""
    if not subject.one_label or not subject.task.explains:
        return without("its answers are not one label of several")
    if subject.trained is None:
        return without(NO_GRADIENTS)
    asked, hidden, labels = [], [], []
    explainer, size = subject.predictor.explainer, 64
    with subject.terminal.progress("shortcuts", len(subject.rows), unit="texts") as line:
        for start in range(0, len(subject.rows), size):
            asked = [each[0] for each in explainer.ask(subject.rows[start : start + size]) if each]
            hidden += one_word_hidden(explainer.model, asked, 32)
            labels += [one.explained.label for one in asked]
            line.update(min(start + size, len(subject.rows)))
    words = label_words(labels, hidden)
    return {"rows": len(labels), "shortcuts": found_in(words), "labels": words}
