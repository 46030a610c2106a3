"""Which classes there are, how many rows each has, and which of them train does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kerasft.data.quality.base import Check, Finding, Inspected, SplitRows
from kerasft.quoting import cut

SHOWN = 5  # classes in a sentence


class Labels(Check):
    """Balance, classes with few rows, labels that train lacks; of tasks whose answers are names."""

    kinds = {"label_balance": "info", "few_rows": "warning", "unknown_labels": "error"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        names = {rows.name: labels for rows in data if (labels := label_sets(rows)) is not None}
        if "train" not in names:
            return
        counts = Counter(label for labels in names["train"] for label in labels)
        train = data.splits["train"]
        if counts:
            yield self._balance(train, counts)
        fewest = data.config.inspect.fewest_rows
        few = sorted((count, label) for label, count in counts.items() if count < fewest)
        if few:
            rare = {label for _, label in few}
            matches = [row for row, labels in enumerate(names["train"]) if rare & labels]
            what = f"have one of {len(few):,} classes with fewer than {fewest} rows: {_some(few)}"
            yield self.finding("few_rows", train, matches, what, "add rows of these classes", classes=len(few))
        fixed = set(data.task.fixed_labels)
        for rows in data:
            strange = {row: labels - counts.keys() - fixed for row, labels in enumerate(names.get(rows.name, []))}
            matches = {row: sorted(labels) for row, labels in strange.items() if labels}
            if matches:
                labels = Counter(label for each in matches.values() for label in each)
                what = f"have a label that train lacks: {_some([(n, label) for label, n in labels.most_common()])}"
                yield self.finding("unknown_labels", rows, matches, what, "add rows with these labels to train")

    def _balance(self, rows: SplitRows, counts: Counter[str]) -> Finding:
        ordered = counts.most_common()
        (most, many), (least, few) = ordered[0], ordered[-1]
        what = f"{len(counts):,} classes, from {few:,} ({cut(least)}) to {many:,} ({cut(most)})"
        return Finding("label_balance", rows.name, len(counts), "info", what, detail={"classes": dict(ordered)})


def label_sets(rows: SplitRows) -> list[set[str]] | None:
    """The names in the answer of each row; None where answers are no names."""
    if "label" not in rows.table.schema.names:
        return None
    sets = [set(label) if isinstance(label, list) else {label} for label in rows.column("label")]
    return sets if all(isinstance(name, str) for names in sets for name in names) else None


def _some(counts: list[tuple[int, str]]) -> str:
    more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    return ", ".join(f"{cut(label)} ({count})" for count, label in counts[:SHOWN]) + more
