"""The page of `kerasft inspect`: every finding, and the rows behind its count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kerasft.data.quality.base import LEVELS, MOST_ROWS, Finding
from kerasft.evaluation.report.blocks import Section, Table
from kerasft.evaluation.report.rendering import render, write_page

SHOWN = 5  # rows of a finding that are not folded away


def write_inspection(path: Path, name: str, findings: Sequence[Finding]) -> None:
    """Writes the page.

    Args:
        path: of the page; its folder exists.
        name: of the config; the page's title.
        findings: what is to be shown, in the order of the page.

    Raises:
        UserError: the page cannot be written there.
    """
    write_page(path, inspection_page(name, findings))


def inspection_page(name: str, findings: Sequence[Finding]) -> str:
    """The page as HTML."""
    counts = {level: sum(finding.level == level for finding in findings) for level in reversed(LEVELS)}
    summary = ", ".join(f"{count} {level if count == 1 else level + 's'}" for level, count in counts.items())
    every = Table(
        [("Level", "text"), ("Kind", "text"), ("Split", "text"), ("Count", "count"), ("What", "text")],
        [(each.level, each.kind.replace("_", " "), each.split, each.count, each.what) for each in findings],
        visible=100,
    )
    sections = [Section("Findings", [every]), *(_section(finding) for finding in findings if finding.rows)]
    return render("inspection.html.j2", title=name, summary=summary, sections=sections, most=MOST_ROWS)


def _section(finding: Finding) -> Section:
    rows = [(row.where, row.text, row.note) for row in finding.rows]
    table = Table([("Row", "text place"), ("Text", "text"), ("Answer, and what else", "text")], rows, visible=SHOWN)
    note = f"{finding.what[0].upper()}{finding.what[1:]}." + (f" Fix: {finding.fix}." if finding.fix else "")
    return Section(f"{finding.kind.replace('_', ' ').capitalize()}: {finding.split}", [table], note)
