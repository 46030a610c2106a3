"""What an audit looks at, a function a part: a subject -> JSON-able figures, or a sentence why there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasft.audit.subject import Subject
from kerasft.evaluation.calibration import expected_calibration_error, reliability_bins
from kerasft.evaluation.robustness.base import Perturbation, changed
from kerasft.evaluation.robustness.measure import compared
from kerasft.evaluation.robustness.registry import PERTURBATIONS
from kerasft.evaluation.robustness.slices import clusters, length_parts, worst_slices
from kerasft.evaluation.statistics import share

MOST_EXAMPLES = 3
SHOWN = 6  # texts whose words the page shows
Figures = dict[str, Any]


def without(reason: str) -> Figures:
    """A part that this run has nothing for."""
    return {"skipped": reason}


def robustness(subject: Subject) -> Figures:
    """What each kind of change does to the answers."""
    if not subject.task.judges:
        return without(f"single answers of a {subject.task.config.task.name} are not compared")
    found: Figures = {"rows": len(subject.rows), "changes": {}}
    with subject.terminal.progress("robustness", len(PERTURBATIONS), unit="changes") as line:
        for number, perturbation in enumerate(PERTURBATIONS):
            found["changes"][perturbation.name] = _perturbed(subject, perturbation)
            line.update(number + 1)
    return found


def _perturbed(subject: Subject, perturbation: Perturbation) -> Figures:
    seed = subject.settings.seed
    rows = [{name: changed(perturbation, text, seed) for name, text in row.items()} for row in subject.rows]
    numbers = [number for number, row in enumerate(rows) if row != subject.rows[number]]
    facts = {"what": perturbation.what, "expected": perturbation.expected}
    if not numbers:
        return facts | {"rows": 0}
    before, right_before = subject.verdicts
    after, right_after = subject.judged(subject.predictor.answer([rows[number] for number in numbers]), numbers)
    mine = [before[number] for number in numbers]
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
    return worst_slices(subject.verdicts[1] >= 0.5, parts)


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
    from kerasft.explain.unknown_texts import unknown_texts

    return found | {"unknown_texts": unknown_texts(subject.trained, subject.rows, subject.whole, subject.train)}


def faithfulness(subject: Subject) -> Figures:
    """Whether each method's explanations are true of this model."""
    if not subject.task.explains:
        return without(f"answers of a {subject.task.config.task.name} are not explained word by word")
    from kerasft.attribution.explainer import as_json
    from kerasft.attribution.registry import ATTRIBUTIONS, DEFAULT, create
    from kerasft.explain import faithfulness as measure

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
    shown = [
        as_json(asked, result, DEFAULT, subject.task.inputs)
        for asked, result in zip(subject.explained[:SHOWN], results[DEFAULT])
    ]
    figures = {"rows": len(questions), "measured": len(rows), "methods": found}
    return figures | {"mosaics": _mosaics(subject), "examples": shown}


def _mosaics(subject: Subject) -> Figures | None:
    """Method -> the mean share of positive attribution in the right half of two texts; None without such labels."""
    if not subject.one_label or subject.task.inputs != ("text",):
        return None
    from kerasft.attribution.registry import ATTRIBUTIONS, create
    from kerasft.evaluation.intervals import bootstrap_interval
    from kerasft.explain.mosaics import mosaics, share_inside

    answers, right = subject.verdicts
    known = subject.task.state["labels"]
    keep = [number for number, good in enumerate(right) if good == 1 and answers[number] in known]
    texts, labels = [subject.rows[number]["text"] for number in keep], [str(answers[number]) for number in keep]
    pairs = mosaics(texts, labels, subject.settings.explained, subject.settings.seed)
    explainer = subject.predictor.explainer
    asked = [explainer.ask([{"text": pair.text}], label=pair.label)[0][0] for pair in pairs]
    whole = [number for number, one in enumerate(asked) if one.question.read().all()]  # none of it is cut
    found = {}
    for name in ATTRIBUTIONS:
        results = create(name).attribute(explainer.model, [asked[number].question for number in whole])
        each = [share_inside(pairs[number], asked[number].words, row) for number, row in zip(whole, results)]
        values = np.array([value for value in each if value is not None])
        if len(values):
            interval = bootstrap_interval(lambda sample: float(sample.mean()), values, seed=subject.settings.seed)
            found[name] = {"value": float(values.mean()), "low": interval["low"], "high": interval["high"]}
    return {"pairs": len(whole), "methods": found}


def shortcuts(subject: Subject) -> Figures:
    """What each label hangs on."""
    if not subject.one_label or not subject.task.explains:
        return without("its answers are not one label of several")
    from kerasft.explain.shortcuts import label_words, one_word_hidden
    from kerasft.explain.shortcuts import shortcuts as found_in

    asked, hidden, labels = [], [], []
    explainer, size = subject.predictor.explainer, 64
    with subject.terminal.progress("shortcuts", len(subject.rows), unit="texts") as line:
        for start in range(0, len(subject.rows), size):
            asked = [each[0] for each in explainer.ask(subject.rows[start : start + size]) if each]
            hidden += one_word_hidden(explainer.model, asked, 32)
            labels += [one.explained.label for one in asked]
            line.update(min(start + size, len(subject.rows)))
    words = label_words(labels, hidden)
    return {"rows": len(labels), "shortcuts": found_in(words)[:30], "labels": words}


def bias(subject: Subject) -> Figures:
    """Groups of people, by a column and by the words in texts."""
    if not subject.one_label or not subject.task.judges:
        return without("its answers are not one label of several")
    from kerasft.audit.groups import column_groups, known_words
    from kerasft.evaluation.bias.exchange import exchange
    from kerasft.evaluation.bias.fairness import fairness

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


PARTS: dict[str, Callable[[Subject], Figures]] = {
    part.__name__: part for part in (robustness, slices, calibration, faithfulness, shortcuts, bias)
}
