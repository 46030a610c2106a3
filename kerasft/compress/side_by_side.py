"""The table that the terminal prints: a model and what was made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from kerasft.evaluation.report.labels import score, title


def comparison_table(compression: Mapping[str, Any], headline: str) -> Table:
    """Bytes, latency, score and agreement of both.

    Args:
        compression: of metrics.json.
        headline: the metric that runs are chosen by.
    """
    table = Table("", title=None)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right")
    before, after = compression["parent_bytes"], compression["bytes"]
    table.add_row("size", f"{before / 1e6:,.1f} MB", f"{after / 1e6:,.1f} MB", f"{after / before:.2f} of it")
    for size in (1, 32):
        own, parents = compression["seconds"][str(size)], compression["parent_seconds"][str(size)]
        speedup = f"{compression[f'speedup_batch_{size}']:.2f} times as fast"
        table.add_row(
            f"{size} text{'s' if size > 1 else ''}", f"{parents * 1e3:,.1f} ms", f"{own * 1e3:,.1f} ms", speedup
        )
    own, parents = compression["score"], compression["parent_score"]
    change = "" if None in (own["value"], parents["value"]) else f"{own['value'] - parents['value']:+.4f}"
    table.add_row(title(headline), _with_interval(parents), _with_interval(own), change)
    agreement = compression["agreement"]
    table.add_row("same answers", "", "" if agreement is None else f"{agreement:.2%}", "")
    return table


def _with_interval(figure: Mapping[str, Any]) -> str:
    if figure["low"] is None:
        return score(figure["value"])
    return f"{score(figure['value'])} ({score(figure['low'])} to {score(figure['high'])})"
