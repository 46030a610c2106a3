"""What a reader should know before trusting the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kerasft.evaluation.report.blocks import Report

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Unreachable

MOST_TRUNCATED = 0.10  # share of rows
FEWEST_EXAMPLES = 10  # of a class in train
WORST_CALIBRATION = 0.10  # expected calibration error
FEWEST_FOR_CALIBRATION = 100  # rows; with fewer, chance alone makes gaps


def warnings_of(report: Report) -> list[str]:
    """One sentence for each thing that weakens the figures, with its fix; empty where all is well."""
    warnings = [
        *unreachable_warnings({name: split.get("unreachable") for name, split in report.splits.items()}),
        _shared(report),
        *_truncated(report),
        _rare_classes(report),
        _calibration(report),
        *report.data_summary.get("warnings", ()),
    ]
    return [warning[0].upper() + warning[1:] for warning in warnings if warning]


def unreachable_warnings(
    splits: Mapping[str, Unreachable | None], tables: Mapping[str, Table] | None = None
) -> list[str]:
    """A sentence for each split with true answers that the model can't give.

    Args:
        splits: what `Task.unreachable` says of each.
        tables: their rows, where the first such row is to be named.
    """
    warnings = []
    for name, missed in splits.items():
        if missed is None or not missed.count:
            continue
        where = ""
        if tables is not None and missed.row is not None:
            where = f" (the first: {tables[name].rows([missed.row])[0]['where']})"
        warnings.append(
            f"{missed.count:,} of {missed.of:,} {missed.what} in {name}{where}. No answer can equal them, and they "
            f"count as missed. {missed.fix}"
        )
    return warnings


def _shared(report: Report) -> str | None:
    shared = report.data_summary.get("shared_train_test", 0)
    if not shared:
        return None
    rows = report.splits.get("test", {}).get("rows")
    share = f" ({shared / rows:.1%})" if rows else ""
    other = report.data_summary.get("shared_train_test_other_answer", 0)
    answers = f", {other:,} with another answer there" if other else ""
    return (
        f"{shared:,} test texts{share} are also in the training data{answers}, so the test figures may not hold for "
        "new texts. Take them out of train: data.clean.leakage: drop_from_train. kerasft inspect names them."
    )


def _truncated(report: Report) -> Iterator[str]:
    for side, (key, limit) in report.data_summary.get("limits", {}).items():
        shares = {name: split["sides"][side]["truncated"] for name, split in report.splits.items()}
        cut = [f"{share:.0%} of {name}" for name, share in shares.items() if share > MOST_TRUNCATED]
        if cut:
            yield (
                f"{side.capitalize()} are cut at {limit} tokens: {', '.join(cut)}. What stands after that is never "
                f"read; a larger {key} may help."
            )


def _rare_classes(report: Report) -> str | None:
    classes = report.splits.get("train", {}).get("classes") or {}
    stage = report.metrics.get("continual", {}).get("lineage")
    if stage is not None:  # those of earlier stages were learnt there
        classes = {label: count for label, count in classes.items() if label in stage["new_labels"]}
    rare = sorted((count, label) for label, count in classes.items() if count < FEWEST_EXAMPLES)
    if not rare:
        return None
    summary = ", ".join(f"{label} ({count})" for count, label in rare[:5])
    more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
    return f"Fewer than {FEWEST_EXAMPLES} training examples: {summary}{more}. Expect little of these classes."


def _calibration(report: Report) -> str | None:
    error = report.scores.get("expected_calibration_error")
    if error is None or error <= WORST_CALIBRATION or report.scores.get("rows", 0) < FEWEST_FOR_CALIBRATION:
        return None
    sure, right = report.scores["mean_confidence"], report.scores["accuracy"]
    return (
        f"The model is {'over' if sure > right else 'under'}confident: it is {sure:.0%} sure on average and right "
        f"{right:.0%} of the time (calibration error {error:.2f}). Do not read its scores as probabilities."
    )
