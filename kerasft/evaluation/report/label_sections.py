"""Sections of a report about labels with a structure: relations, levels, and what belongs to no label."""

from __future__ import annotations

from kerasft.evaluation.report.blocks import MOST_ROWS, Facts, Report, Section, Table
from kerasft.evaluation.report.console import by_f1
from kerasft.evaluation.report.labels import OUT_OF_SCOPE, score, title


def per_relation(report: Report) -> Section | None:
    """Precision, recall and F1 of each relation, both directions together."""
    relations = report.scores.get("per_relation")
    if not relations:
        return None
    many = len(relations) > MOST_ROWS
    ordered = by_f1(relations)[:MOST_ROWS] if many else relations.items()
    rows = [(name, row["f1"], row["precision"], row["recall"], row["support"]) for name, row in ordered]
    columns = [("relation", "text"), ("F1", "bar"), ("precision", "score"), ("recall", "score"), ("support", "count")]
    note = f"On the {report.split} split. A relation in the wrong direction is wrong; F1 above is the mean of these."
    if many:
        note += f" The {MOST_ROWS} with the lowest F1 of {len(relations):,}; all are in metrics.json."
    return Section("Relations", [Table(columns, rows)], note)


def levels(report: Report) -> Section | None:
    """Accuracy and macro F1 at each depth of the labels."""
    scores = report.scores.get("levels")
    if not scores:
        return None
    rows = [(str(row["depth"]), row["classes"], row["accuracy"], row["macro_f1"]) for row in scores]
    columns = [("depth", "text"), ("classes", "count"), ("accuracy", "bar"), ("macro F1", "score")]
    note = f"On the {report.split} split, where only the parents of truth and answer down to this depth are compared."
    return Section("Levels", [Table(columns, rows)], note)


def out_of_scope(report: Report) -> Section | None:
    """What the threshold for "none of these" costs and gains."""
    facts = [(title(name), score(report.scores.get(name))) for name in OUT_OF_SCOPE]
    if "threshold" not in report.scores:
        return None
    note = f"On the {report.split} split; the threshold was chosen on validation."
    return Section("Out of scope", [Facts(facts)], note)
