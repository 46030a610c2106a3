"""Sections of a report's page.

A builder takes the report and answers a Section, or None where the report has nothing for it. Which of them a page
has is what the kind of its task says; the page's template knows blocks alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from kerasft.evaluation.report import plots
from kerasft.evaluation.report.blocks import MOST_ROWS, Code, Facts, Figure, Report, Section, Table
from kerasft.evaluation.report.class_sections import confusion, per_class
from kerasft.evaluation.report.continual_section import continual
from kerasft.evaluation.report.data_sections import data_findings
from kerasft.evaluation.report.label_sections import levels, out_of_scope
from kerasft.evaluation.report.labels import duration, magnitude, megabytes, score, title
from kerasft.evaluation.report.text_sections import mistakes


def sections(report: Report) -> list[Section]:
    """The sections that this report has something for."""
    built = [build(report) for build in (data_findings, continual, *report.kind.sections, adapter_ranks)]
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


def adapter_ranks(report: Report) -> Section | None:
    """What a method that settles ranks itself has left to each layer."""
    ranks = report.metrics.get("model", {}).get("peft", {}).get("ranks")
    if not ranks:
        return None
    columns = [("layer", "text"), ("rank", "count")]
    return Section("Ranks of the adapter", [Table(columns, list(ranks.items()), f"{sum(ranks.values()):,} in all")])


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
    if before := report.scores.get("before_calibration"):
        facts += [
            ("Temperature, fitted on validation", score(report.scores["temperature"])),
            ("Calibration error without it", score(before["expected_calibration_error"])),
            ("Log loss without it", score(before["log_loss"])),
        ]
    return Section("Reliability", [Figure(svg, caption), Facts(facts)], "Is it right as often as it is sure?")


def scatter(report: Report) -> Section | None:
    """Predicted against true numbers."""
    svg = plots.prediction_scatter(report.points)
    if svg is None:
        return None
    facts = [(title(name), score(report.scores.get(name))) for name in report.kind.scores]
    return Section("Predictions", [Figure(svg, f"Examples of the {report.split} split."), Facts(facts)])


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
        "peak_memory_bytes": ("Most memory", megabytes),
        "device_peak_memory_bytes": ("Most memory of a GPU", megabytes),
        "checkpoint_bytes": ("A checkpoint", megabytes),
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


# Shelves that several kinds take whole.
CLASSES = (out_of_scope, levels, per_class, confusion, reliability, mistakes, scores_by_split, data, setup)
NUMBERS = (learning_curves, scatter, mistakes, scores_by_split, data, setup)
