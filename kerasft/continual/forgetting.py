"""`--forget ROWS` where it can't be exact: rows leave all buffers, and runs that learnt them are named."""

from __future__ import annotations

import json
from collections.abc import Set
from pathlib import Path

from kerasft.atomic import write_atomically
from kerasft.console.terminal import Terminal
from kerasft.continual.continuing import open_parent
from kerasft.continual.lineage import children_of, lineage_of
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.base import MEMORY, ROWS, row_digests
from kerasft.continual.methods.kept_rows import FILE as BUFFER
from kerasft.continual.methods.registry import UNLEARNING
from kerasft.data.splits import read_split
from kerasft.data.tables.table import Table
from kerasft.json_lines import read_lines
from kerasft.runs import Run
from kerasft.tasks.registry import create_task


def is_exact(folder: Path) -> bool:
    """Whether a run was trained by a method that forgets rows exactly."""
    return lineage_of(open_parent(folder)).get("method", {}).get("method") in UNLEARNING


def clear_buffers(folder: Path, source: str, terminal: Terminal) -> list[Path]:
    """Takes rows out of the buffers of a run and of all that come from it, and names the runs that learnt them.

    Weights that learnt a row are not changed: such runs have to be trained again without it.

    Args:
        folder: of the run; the others lie in its `output.dir`.
        source: of the rows, as `data.train` names one.
        terminal: gets a line for each run.

    Returns:
        The folders of the runs that learnt a row, or come from one that did.

    Raises:
        UserError: the rows can't be read.
    """
    run = open_parent(folder)
    task = create_task(run.config)
    wanted = set(row_digests(task, read_split(run.config, task, source, "train", terminal.line)))
    runs, at = [folder], 0
    while at < len(runs):  # the run and all its descendants, parents first
        runs += [child for child in children_of(runs[at], folder.parent) if child not in runs]
        at += 1
    touched: list[Path] = []
    for each in runs:
        learnt = len(wanted & _learnt(each))
        comes_from = [parent for parent in touched if each in children_of(parent, folder.parent)]
        cleared = _clear(each, wanted)
        if learnt or comes_from:
            touched.append(each)
        reasons = [f"learnt {learnt} of {len(wanted)} rows"] if learnt else []
        reasons += [f"comes from {comes_from[0]}"] if comes_from else []
        reasons += [f"{cleared} taken out of its buffer"] if cleared else []
        if reasons:
            terminal.result(f"{each}: {', '.join(reasons)}")
    if touched:
        terminal.result(f"{len(touched)} runs to be trained again without these rows; their weights have learnt them")
    else:
        terminal.result(f"{folder}: neither it nor a run that comes from it is known to have learnt one of the rows")
    return touched


def _learnt(folder: Path) -> Set[str]:
    """Digests of the rows that a stage learnt; of a run that is no stage, those that its config reads."""
    file = folder / MEMORY / ROWS
    if file.is_file():
        return set(json.loads(file.read_text(encoding="utf-8"))["rows"])
    from kerasft.continual.continuing import own_tables

    run = Run.open(folder)
    return set(row_digests(create_task(run.config), own_tables(run, Terminal())["train"]))


def _clear(folder: Path, wanted: Set[str]) -> int:
    """How many rows were taken out of a run's buffer."""
    file = folder / MEMORY / BUFFER
    if not file.is_file():
        return 0
    run = Run.open(folder)
    task = create_task(run.config)
    lines = read_lines(file)
    table = joined([Table.from_rows([json.loads(line)["row"] for line in lines], task.schema())])
    left = [line for line, digest in zip(lines, row_digests(task, table)) if digest not in wanted]
    if len(left) < len(lines):
        write_atomically(file, "".join(f"{line}\n" for line in left))
    return len(lines) - len(left)
