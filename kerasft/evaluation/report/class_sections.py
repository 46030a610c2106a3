"""Sections of a report about classes: their scores, and which is taken for which."""

from __future__ import annotations

from typing import Any

from kerasft.evaluation.report.blocks import MOST_ROWS, Figure, Report, Section, Table
from kerasft.evaluation.report.confusion import confusion_svg, most_confused
from kerasft.evaluation.report.console import MOST_CLASSES, by_f1
from kerasft.evaluation.report.labels import score

MOST_PAIRS = 100
_PAIR_COLUMNS = [("true", "text"), ("predicted as", "text"), ("examples", "count"), ("share", "percent")]


def per_class(report: Report) -> Section | None:
    """Precision, recall, F1 and support, a row a class."""
    classes = report.scores.get("per_class")
    if not classes:
        return None
    extra = report.kind.class_scores
    many = len(classes) > MOST_CLASSES
    ordered = by_f1(classes) if many else list(classes.items())
    rows = [
        (label, row["f1"], row["precision"], row["recall"], row["support"], *(row[name] for name in extra))
        for label, row in ordered[:MOST_ROWS]
    ]
    columns = [("class", "text"), ("F1", "bar"), ("precision", "score"), ("recall", "score"), ("support", "count")]
    columns += [(name.replace("_", " "), "score") for name in extra]
    averaged = report.scores.get("classes_averaged", len(classes))
    note = f"On the {report.split} split{', the lowest F1 first' if many else ''}."
    if len(classes) > MOST_ROWS:
        note += f" {MOST_ROWS} of {len(classes):,}; all are in metrics.json."
    if averaged < len(classes):
        note += f" Macro averages run over the {averaged} classes that occur in truth or prediction."
    return Section("Per class", [Table(columns, rows, visible=20 if many else len(rows))], note)


def confusion(report: Report) -> Section | None:
    """The confusion matrix, and the pairs that are confused most."""
    matrix = report.scores.get("confusion_matrix")
    if not matrix:
        return _many_confusions(report)
    caption = "Rows are true classes, columns predictions; a deeper colour is a larger share of the true class."
    pairs = most_confused(matrix, report.labels) if len(report.labels) > 2 else []  # two classes show all by themselves
    wide = not (pairs and len(report.labels) <= 8)  # a small matrix and its table fit side by side
    blocks: list[Any] = [Figure(confusion_svg(matrix, report.labels), caption, wide)]
    if pairs:
        blocks.append(
            Table(_PAIR_COLUMNS, pairs, "Most often confused, share of the true class", visible=10, wide=wide)
        )
    return Section("Confusion", blocks)


def _many_confusions(report: Report) -> Section | None:
    """Of too many classes for a matrix the pairs alone."""
    pairs = report.scores.get("confused_pairs")
    if not pairs:
        return None
    support = {label: row["support"] for label, row in report.scores["per_class"].items()}
    rows = [
        (pair["true"], pair["predicted"], pair["count"], pair["count"] / support[pair["true"]])
        for pair in pairs[:MOST_PAIRS]
    ]
    note = f"{len(support):,} classes have no readable matrix; {report.scores['confused_pairs_in_all']:,} pairs occur."
    table = Table(_PAIR_COLUMNS, rows, "Most often confused, share of the true class", visible=20)
    return Section("Confusion", [table], note)


def per_tag(report: Report) -> Section | None:
    """Token-level precision, recall, F1 and support, a row a tag, with the averages below."""
    tokens = report.scores.get("token")
    if not tokens:
        return None
    names = ("f1", "precision", "recall")
    tags = tokens["per_class"]
    ordered = by_f1(tags)[:MOST_ROWS] if len(tags) > MOST_ROWS else tags.items()
    rows = [(tag, *(row[name] for name in names), row["support"]) for tag, row in ordered]
    total = sum(row["support"] for tag, row in tokens["per_class"].items() if tag != "O")
    for average in ("micro", "macro", "weighted"):
        rows.append((f"{average} average", *(tokens[f"{average}_{name}"] for name in names), total))
    columns = [("tag", "text"), ("F1", "bar"), ("precision", "score"), ("recall", "score"), ("support", "count")]
    note = f"Over {tokens['tokens']:,} tokens, {score(tokens['accuracy'])} of them right. Averages leave O out."
    if len(tags) > MOST_ROWS:
        note += f" The {MOST_ROWS} tags with the lowest F1 of {len(tags):,}; all are in metrics.json."
    return Section("Tags of tokens", [Table(columns, rows, visible=max(30, len(rows)))], note)
