"""What folds have in common: mean and spread of their figures, and the answer to each row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.atomic import write_atomically
from kerasft.console.terminal import Silent, Terminal
from kerasft.cross_validation.runs import Fold, Folded
from kerasft.json_lines import read_json_lines


def summarize(folded: Folded, trained: Sequence[Fold]) -> dict[str, Any]:
    """Mean, sample standard deviation and values of each figure that every fold has."""
    measured = [fold.metrics["test"] for fold in trained]
    names = [name for name, value in measured[0].items() if isinstance(value, (int, float))]
    figures = {}
    for name in names:
        values = [float(each[name]) for each in measured if isinstance(each.get(name), (int, float))]
        if len(values) == len(measured):
            spread = float(np.std(values, ddof=1))
            figures[name] = {"mean": float(np.mean(values)), "deviation": spread, "values": values}
    headline = folded.task.headline
    return {
        "folds": folded.folds,
        "rows": len(folded.table),
        "rows_of_folds": [len(fold.rows) for fold in trained],
        "metric": headline,
        **{name: figures[headline][name] for name in ("mean", "deviation") if headline in figures},
        "metrics": figures,
        **({"cleaning": folded.cleaning} if folded.cleaning else {}),
    }


def means(summary: dict[str, Any]) -> dict[str, Any]:
    """The mean of each figure of a summary, with its deviation and its values, as draws of shots have them."""
    figures: dict[str, Any] = {}
    for name, each in summary["metrics"].items():
        figures |= {name: each["mean"], f"{name}_deviation": each["deviation"], f"{name}_by_fold": each["values"]}
    return figures


def write_out_of_fold(path: Path, folded: Folded, trained: Sequence[Fold]) -> None:
    """Each row of train in its order, with its place, its fold and the answer of that fold's model."""
    lines = [""] * len(folded.table)
    wheres = folded.table.column("where")
    for number, fold in enumerate(trained, 1):
        answers = read_json_lines(fold.run.folder / "predictions" / "test.jsonl")
        for row, answer in zip(fold.rows.tolist(), answers, strict=True):
            lines[row] = json.dumps({"where": wheres[row], "fold": number, **answer}, ensure_ascii=False)
    write_atomically(path, "\n".join(lines) + "\n")


def show_summary(summary: dict[str, Any], folder: Path, terminal: Terminal) -> None:
    if isinstance(terminal, Silent):
        return
    for name, each in summary["metrics"].items():
        values = ", ".join(f"{value:.4g}" for value in each["values"])
        terminal.result(f"{name}: mean {each['mean']:.4g}, deviation {each['deviation']:.4g} ({values})")
    terminal.file("folds", folder / "cross_validation.json")
    terminal.file("out-of-fold predictions", folder / "predictions" / "out_of_fold.jsonl")
