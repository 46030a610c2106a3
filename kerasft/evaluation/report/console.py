"""The table that the terminal prints at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from kerasft.evaluation.report.blocks import MOST_ROWS
from kerasft.evaluation.report.labels import OUT_OF_SCOPE, SCORES, score, title
from kerasft.printable import printable

MOST_CLASSES = 30
WORST_SHOWN = 10


def console_table(metrics: Mapping[str, Any], problem: str) -> Table:
    """Precision, recall, F1 and support of each class, with averages below; without classes the scores alone.

    Beyond 30 classes the 10 with the lowest F1 are shown, and a caption says where the others stand.

    Args:
        metrics: of one split, as kerasft.evaluation.metrics makes them.
        problem: a key of kerasft.evaluation.report.labels.SCORES; classes may be types of entities.
    """
    if problem == "question_answering":
        return _answers_table(metrics)
    if "per_class" not in metrics:
        return _scores_table(metrics, problem)
    if problem == "relation_extraction":
        return _relations_table(metrics)
    classes = metrics["per_class"]
    many = len(classes) > MOST_CLASSES
    table = Table("class", *_columns(problem), show_edge=False, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, row in by_f1(classes)[:WORST_SHOWN] if many else classes.items():
        cells = [score(row[name]) for name in ("precision", "recall", "f1")]
        thresholds = [score(row["threshold"])] if problem == "multi_label" else []
        table.add_row(Text(printable(label)), *cells, f"{row['support']:,}", *thresholds)
    table.add_section()
    support = f"{sum(row['support'] for row in classes.values()):,}"
    if problem == "single_label":
        table.add_row("accuracy", "", "", score(metrics["accuracy"]), support)
        for name, value in _structure(metrics):
            table.add_row(name, "", "", score(value), "")
    for average in ("macro", "weighted") if problem == "single_label" else ("micro", "macro", "weighted"):
        cells = [score(metrics[f"{average}_{name}"]) for name in ("precision", "recall", "f1")]
        table.add_row(f"{average} average", *cells, support, style="bold" if average == "macro" else "")
    if many:
        table.caption = _left_out(len(classes), "classes")
    return table


def _left_out(count: int, what: str) -> str:
    where = "metrics.json" if count > MOST_ROWS else "report.html and metrics.json"
    return f"The {WORST_SHOWN} {what} with the lowest F1; all {count:,} are in the run's {where}."


def by_f1(per_class: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """(label, scores), the lowest F1 first; those without one, in neither truth nor prediction, last."""
    return sorted(per_class.items(), key=lambda item: (item[1]["f1"] is None, item[1]["f1"], item[0]))


def _columns(problem: str) -> tuple[str, ...]:
    return ("precision", "recall", "F1", "support", *(("threshold",) if problem == "multi_label" else ()))


def _relations_table(metrics: Mapping[str, Any]) -> Table:
    table = Table("relation", "precision", "recall", "F1", "support", show_edge=False, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    names = ("precision", "recall", "f1")
    relations = metrics["per_relation"]
    many = len(relations) > MOST_CLASSES
    for relation, row in by_f1(relations)[:WORST_SHOWN] if many else relations.items():
        table.add_row(Text(printable(relation)), *(score(row[name]) for name in names), f"{row['support']:,}")
    table.add_section()
    support = sum(row["support"] for row in metrics["per_relation"].values())
    table.add_row("mean of the relations", *(score(metrics[name]) for name in names), f"{support:,}", style="bold")
    table.add_row("accuracy", "", "", score(metrics["accuracy"]), f"{metrics['rows']:,}")
    if many:
        table.caption = _left_out(len(relations), "relations")
    return table


def _answers_table(metrics: Mapping[str, Any]) -> Table:
    table = Table("questions", "exact match", "F1", "support", show_edge=False, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    groups = {"with an answer": "has_answer_", "without an answer": "no_answer_"}
    for name, group in groups.items():
        if f"{group}rows" in metrics:
            scores = (score(metrics.get(f"{group}{figure}")) for figure in ("exact_match", "f1"))
            table.add_row(name, *scores, f"{metrics[f'{group}rows']:,}")
    table.add_section()
    table.add_row("all", score(metrics["exact_match"]), score(metrics["f1"]), f"{metrics['rows']:,}", style="bold")
    return table


def _structure(metrics: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """Figures of labels with levels, and of the threshold for none of them, where there are such."""
    rows = [(title(name).lower(), metrics[name]) for name in OUT_OF_SCOPE if name in metrics]
    return rows + [(f"accuracy at level {row['depth']}", row["accuracy"]) for row in metrics.get("levels", [])[:-1]]


def _scores_table(metrics: Mapping[str, Any], problem: str) -> Table:
    copied = metrics.get("copy_baseline")  # figures of inputs that are taken for outputs
    table = Table("metric", "value", *(("input itself",) if copied else ()), show_edge=False, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in SCORES[problem]:
        if name not in metrics:  # answers are measured by the chief alone
            continue
        beside = (score(copied[name]) if name in copied else "",) if copied else ()
        table.add_row(title(name), score(metrics[name]), *beside)
    table.add_row("rows", f"{metrics['rows']:,}")
    return table
