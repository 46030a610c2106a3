"""What a search comes to: the winner as a file, trained again with other seeds, and measured on test once."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from kerasft.atomic import write_atomically
from kerasft.console.terminal import Terminal
from kerasft.errors import Interrupted, UserError
from kerasft.search.folder import SearchFolder
from kerasft.search.job import COMPLETE, INTERRUPTED, Job
from kerasft.search.report import write_search
from kerasft.search.store import OUTCOME, VALUES, WHY, Store
from kerasft.search.table import front, score_text, write_table
from kerasft.search.worker import Goal, Runner

FILE = "winner.json"


def conclude(
    search: SearchFolder, store: Store, goal: Goal, runner: Runner, terminal: Terminal, source: str = ""
) -> dict[str, Any]:
    """Writes winner.yaml, trials.csv, winner.json and report.html.

    Args:
        search, store: whose trials are over.
        goal: what was made best.
        runner: trains the repeats and measures test.
        terminal: shows what happens.
        source: what the config's file says of where its data come from.

    Returns:
        What winner.json holds.

    Raises:
        UserError: no trial came to its end, or a repeat fails.
    """
    best = front(store.trials(), store.directions)
    if not best:
        failed = [trial for trial in store.trials() if WHY in trial.user_attrs]
        told = f"; trial {failed[-1].number}: {failed[-1].user_attrs[WHY]}" if failed else ""
        raise UserError(f"{search.path}: no trial came to its end, so nothing won{told}")
    winner = best[0]
    values = winner.user_attrs[VALUES]
    figure = f"{goal.headline} {score_text(winner.values[0])} on validation"
    file = search.write_winner(winner.number, values, figure, source)
    write_table(search, store)
    repeats = _repeats(search, goal, runner, terminal, winner)
    test, opened = _test(search, goal, runner, terminal, winner)
    content = {
        "trial": winner.number,
        "values": values,
        "validation": winner.values[0],
        "objectives": dict(zip(search.settings.objectives, winner.values)),
        "sha256": winner.user_attrs[OUTCOME]["sha256"],
        "repeats": repeats,
        "test": test,
        "tests_opened": opened,
        "front": [trial.number for trial in best],
    }
    write_atomically(search.path / FILE, json.dumps(content, indent=2, ensure_ascii=False))
    write_search(search, store, goal, content)
    again = f", mean {score_text(repeats['mean'])} with other seeds" if repeats["values"] else ""
    terminal.line(f"winner: trial {winner.number}, {figure}{again}")
    terminal.file("winner", file)
    terminal.file("table", search.path / "trials.csv")
    terminal.file("report", search.path / "report.html")
    return content


def _repeats(
    search: SearchFolder, goal: Goal, runner: Runner, terminal: Terminal, winner: FrozenTrial
) -> dict[str, Any]:
    """The winner's values with other seeds on the same rows; what was done before is read from its run."""
    values, found = winner.user_attrs[VALUES], []
    for place in range(1, search.settings.repeats + 1):
        seed = search.config.seed + place
        config = search.repeat(winner.number, seed, values)
        terminal.line(f"winner again, seed {seed}")
        ending = runner.run(Job(config, search.rows(values), goal.headline), lambda step, value, steps: False)
        if ending.kind == INTERRUPTED:
            raise Interrupted(ending.why)
        if ending.kind != COMPLETE:
            raise UserError(f"{search.path}: the winner with seed {seed} {ending.why}; search.repeats: 0 leaves it out")
        found.append(ending.figures["value"])
        _remove_weights(Path(config.output.dir) / config.name)
    mean = statistics.fmean(found) if found else None
    sign = -1.0 if goal.falls else 1.0
    return {
        "values": found,
        "mean": mean,
        "deviation": statistics.stdev(found) if len(found) > 1 else None,
        "optimism": None if mean is None else sign * (winner.values[0] - mean),
    }


def _test(
    search: SearchFolder, goal: Goal, runner: Runner, terminal: Terminal, winner: FrozenTrial
) -> tuple[Mapping[str, Any] | None, int]:
    """The winner's test metrics, and for how many winners test has been opened: another search may go on from here."""
    file = search.path / FILE
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"tests_opened": 0, "trial": None}
    if search.config.data.test is None:
        return None, before["tests_opened"]
    if before["trial"] == winner.number and before["test"] is not None:
        return before["test"], before["tests_opened"]
    config = search.trial(winner.number, winner.user_attrs[VALUES])
    if not (search.trial_folder(winner.number) / "model").is_dir():
        terminal.line(f"test: not measured: the winner's model is on another machine; train {search.path}/winner.yaml")
        return None, before["tests_opened"]
    rows = search.winner(winner.user_attrs[VALUES])
    ending = runner.run(Job(config, rows, goal.headline, test=True), lambda step, value, steps: False)
    if ending.kind != COMPLETE:
        raise UserError(f"{search.path}: data.test can't be measured: {ending.why}")
    opened = before["tests_opened"] + 1
    metrics = ending.figures["metrics"]
    terminal.line(f"test, of the winner alone: {goal.headline} {score_text(metrics[goal.headline])}")
    if opened > 1:
        terminal.line(f"warning: test was opened for {opened} winners of this search; the last figure is a choice, too")
    return metrics, opened


def _remove_weights(folder: Path) -> None:
    for name in ("checkpoints", "model", "adapter"):
        shutil.rmtree(folder / name, ignore_errors=True)
