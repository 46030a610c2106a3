"""`lineage.json` of a run: the runs that it comes from, and what each of its stages learnt."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasft.errors import UserError
from kerasft.runs import LINEAGE, Run


def parent_entry(child: Path, parent: Run) -> dict[str, Any]:
    """How a run names its parent: where it lies, seen from the child's folder, and which run it is."""
    path = os.path.relpath(parent.folder, child)
    return {"run": Path(path).as_posix(), **(parent.identity() or {})}


def lineage_of(run: Run) -> Mapping[str, Any]:
    """What the file holds; nothing for a run that is no stage."""
    return run.load_json(LINEAGE) or {}


def is_sequence(run: Run) -> bool:
    """Whether a run is of a sequence of stages that one config plans."""
    section = run.config.continual
    return section is not None and (section.stages is not None or section.classes is not None)


def parent_of(run: Run) -> Run | None:
    """The run that a run goes on from; None where it is the first.

    Raises:
        UserError: it is gone, or another run is at its place now.
    """
    entries = lineage_of(run).get("parents") or []
    if not entries or is_sequence(run):
        return None
    folder = Path(os.path.normpath(run.folder / entries[0]["run"]))
    if not (folder / "config.yaml").is_file():
        raise UserError(
            f"{run.folder / LINEAGE}: its parent {folder} is gone; bring it back: what it learnt is measured too"
        )
    parent = Run.open(folder)
    if "id" in entries[0] and (parent.identity() or {}).get("id") != entries[0]["id"]:
        raise UserError(f"{run.folder / LINEAGE}: {folder} is another run now; bring the parent back as it was")
    return parent


def ancestors(run: Run) -> list[Run]:
    """The run and all that it comes from, the first one first."""
    line, at = [run], parent_of(run)
    while at is not None:
        line.insert(0, at)
        at = parent_of(at)
    return line


def children_of(folder: Path, runs: Path) -> list[Path]:
    """The folders of runs below a folder that name a run as their parent.

    Args:
        folder: of the run.
        runs: the folder of run folders.
    """
    children = []
    for file in sorted(runs.glob(f"**/{LINEAGE}")):
        entries = json.loads(file.read_text(encoding="utf-8")).get("parents") or []
        if any(Path(os.path.normpath(file.parent / entry["run"])).resolve() == folder.resolve() for entry in entries):
            children.append(file.parent)
    return children
