"""How figures of an audit are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kerasft.audit.figures import Figures
from kerasft.evaluation.report.blocks import Section
from kerasft.evaluation.report.labels import score


def named(name: str) -> str:
    """A key as words."""
    return name.replace("_", " ")


def figure_range(figure: Figures | None, form: Callable[[float | None], str] = score) -> str:
    """A figure with its interval; a dash where there is none."""
    if figure is None or figure["value"] is None:
        return "–"
    return f"{form(figure['value'])} ({form(figure['low'])} to {form(figure['high'])})"


def skipped(title: str, part: Figures) -> Iterator[Section]:
    """A section that says why there is nothing."""
    yield Section(title, [], f"Not measured: {part['skipped']}.")
