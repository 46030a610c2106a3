"""Sections of a report's page.

A builder takes the report and answers a Section, or None where the report has nothing for it. Which of them a page
has is what the kind of its task says; the page's template knows blocks alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from kerasft.evaluation.report import plots
from kerasft.evaluation.report.blocks import MOST_ROWS, Code, Examples, Facts, Figure, Report, Section, Table
from kerasft.evaluation.report.class_sections import confusion, per_class
from kerasft.evaluation.report.data_sections import data_findings
from kerasft.evaluation.report.label_sections import levels, out_of_scope
from kerasft.evaluation.report.labels import WRITTEN, duration, magnitude, score, title

MOST_MISTAKES = 25
LONGEST_TEXT = 500  # signs of a text that is shown as an example


def sections(report: Report) -> list[Section]:
    """The sections that this report has something for."""
    built = [build(report) for build in (data_findings, *report.kind.sections)]
    return [section for section in built if section is not None]


def best_step(report: Report) -> int | None:
    """The step of the checkpoint that was kept: as training says, otherwise the best headline figure's."""
    step = report.metrics.get("training", {}).get("best_step")
    if step is not None:
        return step
    sign = -1 if report.headline in report.falling else 1
    checked = [
        (sign * row["validation"][report.headline], -row["step"])
        for row in report.history
        if row.get("validation", {}).get(report.headline) is not None
    ]
    return -max(checked)[1] if checked else None


def learning_curves(report: Report) -> Section | None:
    """Loss and validation metrics by step."""
    step = best_step(report)
    scores = [name for name in report.kind.scores if name not in report.falling and name != report.headline]
    # A headline such as perplexity has a scale of its own and is drawn alone.
    beside = () if report.headline in report.falling else scores[:2]
    names = {name: title(name) for name in (report.headline, *beside)}
    curves = [
        (plots.loss_curve(report.history, step), "Loss by training step."),
        (plots.validation_curve(report.history, names, step), "Metrics on the validation split by training step."),
    ]
    figures = [Figure(svg, caption) for svg, caption in curves if svg is not None]
    return Section("Learning curves", figures) if figures else None


def scores_by_split(report: Report) -> Section | None:
    """All averages, a column a split."""
    splits = [name for name in ("validation", "test") if name in report.metrics]
    names = [name for name in report.kind.scores if any(name in report.metrics[split] for split in splits)]
    if not names:
        return None
    rows = [(title(name), *(report.metrics[split].get(name) for split in splits)) for name in names]
    return Section("All scores", [Table([("metric", "text"), *((split, "score") for split in splits)], rows)])


def reliability(report: Report) -> Section | None:
    """Whether confidence can be taken for probability."""
    svg = plots.reliability_diagram(report.scores.get("reliability", ()))
    if svg is None:
        return None
    error = score(report.scores["expected_calibration_error"])
    caption = f"Expected calibration error {error} over 15 equal-width bins (Guo et al. 2017, arXiv:1706.04599)."
    facts = [
        ("Calibration error", error),
        ("Mean confidence", score(report.scores["mean_confidence"])),
        ("Accuracy", score(report.scores["accuracy"])),
        ("Log loss", score(report.scores["log_loss"])),
    ]
    return Section("Reliability", [Figure(svg, caption), Facts(facts)], "Is it right as often as it is sure?")


def scatter(report: Report) -> Section | None:
    """Predicted against true numbers."""
    svg = plots.prediction_scatter(report.points)
    if svg is None:
        return None
    facts = [(title(name), score(report.scores.get(name))) for name in report.kind.scores]
    return Section("Predictions", [Figure(svg, f"Examples of the {report.split} split."), Facts(facts)])


def mistakes(report: Report) -> Section | None:
    """The examples on which the model was most confidently wrong."""
    if not report.mistakes:
        return None
    rows = [
        {key: _cell_text(value) for key, value in mistake.items() if value is not None}
        for mistake in report.mistakes[:MOST_MISTAKES]
    ]
    heading, measure = report.kind.mistakes
    note = "Often the quickest way to a better model: some of these labels may be wrong."
    return Section(heading, [Examples(rows, measure)], note)


def masked_texts(report: Report) -> Section | None:
    """Some hidden tokens with what the model would put there."""
    if not report.mistakes:
        return None
    rows = [{key: _cell_text(value) for key, value in sample.items()} for sample in report.mistakes[:MOST_MISTAKES]]
    note = f"One hidden token of each of the first rows of the {report.split} split, and the likeliest five."
    return Section("Masked texts", [Examples(rows, "probability of the first")], note)


def written_texts(report: Report) -> Section | None:
    """Some texts that the model went on from, with what the data has there."""
    if not report.mistakes:
        return None
    rows = [{key: _cell_text(value) for key, value in sample.items()} for sample in report.mistakes[:MOST_MISTAKES]]
    note = f"Rows of the {report.split} split drawn by the run's seed: what was there, and what was written."
    return Section("Written texts", [Examples(rows)], note)


def beside_copies(report: Report) -> Section | None:
    """What was written beside the inputs as they are, and how both were measured."""
    copied = report.scores.get("copy_baseline")
    if not copied:
        return None
    rows = [(title(name), report.scores.get(name), copied.get(name)) for name in WRITTEN]
    columns = [("metric", "text"), ("written", "score"), ("the input itself", "score")]
    signatures = [(title(name), str(report.scores[f"{name}_signature"])) for name in ("bleu", "chrf")]
    note = f"{report.scores['answers']:,} outputs of the {report.split} split, and their inputs taken for outputs."
    return Section("Beside copies of the input", [Table(columns, rows), Facts(signatures, "sacreBLEU")], note)


def data(report: Report) -> Section | None:
    """Sizes, lengths and class balance of the splits."""
    if not report.splits:
        return None
    train = report.splits.get("train", {})
    blocks = [_lengths(report), *_histograms(report), *_overlap(report), *_balance(train.get("classes"))]
    return Section("Data", blocks)


def _lengths(report: Report) -> Table:
    lengths = ("min", "median", "p95", "max")
    rows = [
        (
            f"{name}, {side}" if len(split["sides"]) > 1 else name,
            split["rows"], *(summary["lengths"][key] for key in lengths), summary["truncated"],
        )
        for name, split in report.splits.items()
        for side, summary in split["sides"].items()
    ]  # fmt: skip
    columns = [("split", "text"), ("rows", "count"), ("shortest", "count"), ("median", "count")]
    columns += [("95 %", "count"), ("longest", "count"), ("cut", "percent")]
    return Table(columns, rows, "Lengths in tokens")


def _histograms(report: Report) -> Iterator[Figure]:
    """Of each side of the training split, beside its own limit."""
    limits = report.data_summary["limits"]
    for side, summary in report.splits.get("train", {"sides": {}})["sides"].items():
        histogram = summary["histogram"]
        svg = plots.length_histogram(histogram["edges"], histogram["counts"], limits[side], side)
        if svg is not None:
            yield Figure(svg, f"Lengths of the training {side}.")


def setup(report: Report) -> Section | None:
    """What it takes to do this run again."""
    blocks: list[Any] = []
    if report.versions:
        blocks.append(Facts([(name, str(version)) for name, version in report.versions.items()], "Versions"))
    cost = _cost(report)
    if cost:
        blocks.append(Facts(cost, "Training"))
    if report.config:
        text = yaml.safe_dump(dict(report.config), sort_keys=False, allow_unicode=True)
        blocks.append(Code("The resolved config", text))
    return Section("How it was made", blocks) if blocks else None


def _cost(report: Report) -> list[tuple[str, str]]:
    forms: dict[str, tuple[str, Callable[[Any], str]]] = {
        "steps": ("Steps", magnitude),
        "seconds": ("Time", duration),
        "examples_per_second": ("Examples a second", magnitude),
        "real_tokens_per_second": ("Tokens a second, padding not counted", magnitude),
        "input_wait": ("Steps waited for input", "{:.1%}".format),
        "parameters": ("Parameters", magnitude),
        "trainable_parameters": ("Trained parameters", magnitude),
    }
    figures = {**report.metrics.get("training", {}), **report.metrics.get("model", {})}
    return [(name, write(figures[key])) for key, (name, write) in forms.items() if figures.get(key) is not None]


def _overlap(report: Report) -> list[Facts]:
    names = {
        "shared_train_test": "Test texts that are also in train",
        "duplicates_train": "Repeated texts in train",
    }
    rows = [(name, f"{report.data_summary[key]:,}") for key, name in names.items() if key in report.data_summary]
    return [Facts(rows, "Repeated texts")] if rows else []


def _balance(classes: Any) -> list[Table]:
    if not classes:
        return []
    ordered = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
    largest = max(ordered[0][1], 1)
    caption = "Class balance"
    if len(ordered) > MOST_ROWS:
        half = MOST_ROWS // 2
        caption = f"Class balance: the {half} largest and the {half} smallest of {len(ordered):,} classes"
        ordered = ordered[:half] + ordered[-half:]
    rows = [(label, count, count / largest) for label, count in ordered]
    columns = [("class", "text"), ("training examples", "count"), ("", "bar only")]
    return [Table(columns, rows, caption, visible=20)]


def _cell_text(value: Any) -> str:
    """Any value as text for a page: control signs visible, long texts cut."""
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value)) or "(none)"
    text = score(value) if isinstance(value, float) else str(value)
    text = "".join(sign if sign >= " " or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " …"


# Shelves that several kinds take whole.
CLASSES = (out_of_scope, levels, per_class, confusion, reliability, mistakes, scores_by_split, data, setup)
NUMBERS = (learning_curves, scatter, mistakes, scores_by_split, data, setup)
