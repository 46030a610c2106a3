"""Sections of a report's page that show texts: what a model got wrong, filled or wrote."""

from __future__ import annotations

from typing import Any

from kerasft.evaluation.report.blocks import Examples, Facts, Report, Section, Table
from kerasft.evaluation.report.labels import WRITTEN, score, title

MOST_MISTAKES = 25
LONGEST_TEXT = 500  # signs of a text that is shown as an example


def mistakes(report: Report) -> Section | None:
    """The examples on which the model was most confidently wrong."""
    if not report.mistakes:
        return None
    rows = [
        {key: cell_text(value) for key, value in mistake.items() if value is not None}
        for mistake in report.mistakes[:MOST_MISTAKES]
    ]
    heading, measure = report.kind.mistakes
    note = "Often the quickest way to a better model: some of these labels may be wrong."
    return Section(heading, [Examples(rows, measure)], note)


def masked_texts(report: Report) -> Section | None:
    """Some hidden tokens with what the model would put there."""
    if not report.mistakes:
        return None
    rows = [{key: cell_text(value) for key, value in sample.items()} for sample in report.mistakes[:MOST_MISTAKES]]
    note = f"One hidden token of each of the first rows of the {report.split} split, and the likeliest five."
    return Section("Masked texts", [Examples(rows, "probability of the first")], note)


def written_texts(report: Report) -> Section | None:
    """Some texts that the model went on from, with what the data has there."""
    if not report.mistakes:
        return None
    rows = [{key: cell_text(value) for key, value in sample.items()} for sample in report.mistakes[:MOST_MISTAKES]]
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


def cell_text(value: Any) -> str:
    """Any value as text for a page: control signs visible, long texts cut."""
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value)) or "(none)"
    text = score(value) if isinstance(value, float) else str(value)
    text = "".join(sign if sign >= " " or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " …"
