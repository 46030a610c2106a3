"""`report.html`: one self-contained page about a run, for a person to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.evaluation.report.blocks import Report
from kerasft.evaluation.report.labels import duration, magnitude, score, title
from kerasft.evaluation.report.rendering import render, write_page
from kerasft.evaluation.report.sections import sections
from kerasft.evaluation.report.warnings import warnings_of

__all__ = ["Report", "report_page", "write_report"]

_TILES = 4


def write_report(path: Path, report: Report) -> None:
    """Writes the page; a reader sees the old one or the new one, never half of one.

    Args:
        path: of the page; its folder exists.
        report: what to show.

    Raises:
        UserError: the page cannot be written there.
    """
    write_page(path, report_page(report))


def report_page(report: Report) -> str:
    """The page as HTML: no scripts and nothing fetched from elsewhere; every text of the data is escaped."""
    return render(
        "report.html.j2",
        report=report,
        headline=_headline(report),
        tiles=_tiles(report),
        warnings=warnings_of(report),
        sections=sections(report),
    )


def _headline(report: Report) -> dict[str, Any]:
    interval = report.scores.get("interval") or {}
    measured = interval.get("low") is not None and interval.get("metric", report.headline) == report.headline
    rows = report.scores.get("rows")
    return {
        "title": title(report.headline),
        "value": score(report.scores.get(report.headline)),
        "interval": f"{score(interval['low'])} to {score(interval['high'])}" if measured else None,
        "level": f"{interval['level']:.0%}".replace("%", " %") if measured else None,
        "where": f"on {rows:,} {report.split} examples" if rows else f"on the {report.split} split",
    }


def _tiles(report: Report) -> list[tuple[str, str]]:
    """The next best figures, and what they cost."""
    names = [name for name in report.kind.scores if name != report.headline and name in report.scores]
    tiles = [(title(name), score(report.scores[name])) for name in names[:_TILES]]
    training, model = report.metrics.get("training", {}), report.metrics.get("model", {})
    if training.get("seconds") is not None:
        tiles.append(("Training time", duration(training["seconds"])))
    if model.get("parameters") is not None:
        tiles.append(("Parameters", magnitude(model["parameters"])))
    return tiles
