"""Which trials are best, and the table of all: trials.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from kerasft.atomic import write_atomically
from kerasft.search.folder import SearchFolder
from kerasft.search.ranges import Direction
from kerasft.search.store import OUTCOME, VALUES, WHY, Store

STATE = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def front(trials: Sequence[FrozenTrial], directions: Sequence[Direction]) -> list[FrozenTrial]:
    """The complete trials that no other beats in every objective, the best first objective first.

    With one objective: the best trial alone, of equals the first one.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    costs = {
        trial.number: tuple(-v if way == "maximize" else v for v, way in zip(trial.values, directions))
        for trial in complete
    }
    ordered = sorted(complete, key=lambda trial: (costs[trial.number], trial.number))
    best: list[FrozenTrial] = []
    for trial in ordered:  # whoever beats a trial comes before it in this order
        mine = costs[trial.number]
        if not any(all(a <= b for a, b in zip(costs[other.number], mine)) for other in best):
            best.append(trial)
    return best


def score_text(value: float) -> str:
    """A figure for people."""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def write_table(search: SearchFolder, store: Store) -> Path:
    """trials.csv: a row a trial; nothing in it depends on the time of day or on the speed of the machine.

    Latencies, where they are an objective, do.
    """
    keys, settings = list(search.settings.space or {}), search.settings
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["trial", "state", *settings.objectives, "last_step", "last_value", *keys, "sha256", "why"])
    for trial in store.trials():
        values = list(trial.values) if trial.state == TrialState.COMPLETE else [""] * len(settings.objectives)
        curve = trial.intermediate_values
        last = (max(curve), curve[max(curve)]) if curve else ("", "")
        tried = trial.user_attrs.get(VALUES, {})
        sha256 = trial.user_attrs.get(OUTCOME, {}).get("sha256", "")
        row = [trial.number, STATE[trial.state], *values, *last, *(tried.get(key, "") for key in keys)]
        writer.writerow([*row, sha256, trial.user_attrs.get(WHY, "")])
    return write_atomically(search.path / "trials.csv", buffer.getvalue())
