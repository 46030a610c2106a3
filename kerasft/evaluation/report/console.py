"""Tables of figures that the terminal prints at the end of a run, one of which the kind of a task names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kerasft.evaluation.report.blocks import MOST_ROWS
from kerasft.evaluation.report.labels import OUT_OF_SCOPE, score, title
from kerasft.printable import printable

MOST_CLASSES = 30
WORST_SHOWN = 10


def label_table(metrics: Mapping[str, Any]) -> Table:
    """Of texts with one label each: a row a class, then the accuracy and the averages."""
    table, support = _class_table(metrics)
    table.add_row("accuracy", "", "", score(metrics["accuracy"]), support)
    for name, value in _structure(metrics):
        table.add_row(name, "", "", score(value), "")
    return _with_averages(table, metrics, ("macro", "weighted"), support)


def class_table(metrics: Mapping[str, Any], thresholds: bool = False) -> Table:
    """Of any number of labels a text, or of entities: a row a class, or a type, then the averages.

    Args:
        metrics: of one split, as kerasft.evaluation makes them.
        thresholds: whether a class has one.
    """
    table, support = _class_table(metrics, thresholds)
    return _with_averages(table, metrics, ("micro", "macro", "weighted"), support)


def _class_table(metrics: Mapping[str, Any], thresholds: bool = False) -> tuple[Table, str]:
    """Precision, recall, F1 and support of each class; and the support of all.

    Beyond 30 classes the 10 with the lowest F1 are shown, and a caption says where the others stand.
    """
    classes = metrics["per_class"]
    many = len(classes) > MOST_CLASSES
    columns = ("precision", "recall", "F1", "support", *(("threshold",) if thresholds else ()))
    table = _right_table("class", *columns)
    for label, row in by_f1(classes)[:WORST_SHOWN] if many else classes.items():
        cells = [score(row[name]) for name in ("precision", "recall", "f1")]
        own = [score(row["threshold"])] if thresholds else []
        table.add_row(Text(printable(label)), *cells, f"{row['support']:,}", *own)
    table.add_section()
    if many:
        table.caption = _note_on_rest(len(classes), "classes")
    return table, f"{sum(row['support'] for row in classes.values()):,}"


def _with_averages(table: Table, metrics: Mapping[str, Any], averages: Sequence[str], support: str) -> Table:
    for average in averages:
        cells = [score(metrics[f"{average}_{name}"]) for name in ("precision", "recall", "f1")]
        table.add_row(f"{average} average", *cells, support, style="bold" if average == "macro" else "")
    return table


def _right_table(first: str, *columns: str) -> Table:
    """A table whose columns after the first are of numbers."""
    table = Table(first, *columns, show_edge=False, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _note_on_rest(count: int, what: str) -> str:
    where = "metrics.json" if count > MOST_ROWS else "report.html and metrics.json"
    return f"The {WORST_SHOWN} {what} with the lowest F1; all {count:,} are in the run's {where}."


def by_f1(per_class: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """(label, scores), the lowest F1 first; those without one, in neither truth nor prediction, last."""
    return sorted(per_class.items(), key=lambda item: (item[1]["f1"] is None, item[1]["f1"], item[0]))


def relations_table(metrics: Mapping[str, Any]) -> Table:
    """A row a relation, both directions together, then their mean and the accuracy of labels."""
    table = _right_table("relation", "precision", "recall", "F1", "support")
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
        table.caption = _note_on_rest(len(relations), "relations")
    return table


def answers_table(metrics: Mapping[str, Any]) -> Table:
    """Questions with an answer and without one, where there are such, then all."""
    table = _right_table("questions", "exact match", "F1", "support")
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


def scores_table(metrics: Mapping[str, Any], names: Sequence[str]) -> Table:
    """A row a figure, and beside it that of inputs taken for outputs, where those were measured.

    Args:
        metrics: of one split, as kerasft.evaluation makes them.
        names: of figures, in order; what was not measured has no row.
    """
    copied = metrics.get("copy_baseline")
    table = _right_table("metric", "value", *(("input itself",) if copied else ()))
    for name in names:
        if name not in metrics:  # answers are measured by the chief alone
            continue
        beside = (score(copied[name]) if name in copied else "",) if copied else ()
        table.add_row(title(name), score(metrics[name]), *beside)
    table.add_row("rows", f"{metrics['rows']:,}")
    return table
