"""The section of a report's page that says what was found in the data."""

from __future__ import annotations

from kerasft.data.quality.inspection import MOST_IN_PASSING
from kerasft.evaluation.report.blocks import Report, Section, Table

TITLE = "Data before training"


def data_findings(report: Report) -> Section | None:
    """What `kerasft inspect` finds in the data that the run had, after cleaning: what is more than information."""
    if report.inspection is None:
        note = (
            f"The rows were not inspected: their texts have more than {MOST_IN_PASSING:,} characters. Run kerasft "
            "inspect with the config of this run."
        )
        return Section(TITLE, [], note)
    if not report.inspection:
        return None
    shown = [each for each in report.inspection if each.level != "info"]
    rows = [
        (each.level, each.split, each.kind.replace("_", " "), each.what, ", ".join(row.where for row in each.rows[:2]),
         each.fix)
        for each in shown
    ]  # fmt: skip
    names = ("Level", "Split", "Kind", "What", "First places", "Fix")
    table = Table([(name, "text place" if name == "First places" else "text") for name in names], rows, visible=20)
    note = (
        "What kerasft inspect finds in the rows of this run, after data.clean. kerasft inspect --html shows them all."
    )
    return Section(TITLE, [table] if rows else [], note if rows else f"Nothing is wrong. {note}")
