"""Two runs whose memory is sums become one: what a run learnt elsewhere is added without reading its texts again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasft.config.load import read_config
from kerasft.config.schema import Config
from kerasft.continual.child_config import method_of_parent, next_name
from kerasft.continual.lineage import ancestors, is_sequence, lineage_of, parent_of
from kerasft.continual.methods.base import MEMORY
from kerasft.continual.methods.registry import UNLEARNING
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.runs import Run


def joined_config(parent: Run, other: Run, overrides: Sequence[str], again: bool) -> Config:
    """The config of the run of both: the parent's, with the data of the other.

    Args:
        parent: that takes in what the other learnt.
        other: a run of the same method.
        overrides: `key=value`.
        again: see `next_name`.

    Raises:
        UserError: the sums of the two can't be added.
    """
    method = _method(parent)
    if method not in UNLEARNING or _method(other) != method:
        raise UserError(
            f"--join: adds the sums of two runs of one method, {' or '.join(UNLEARNING)}; {parent.folder} has "
            f"{method or 'none'} and {other.folder} {_method(other) or 'none'}"
        )
    if is_sequence(other):
        raise UserError(f"--join: {other.folder} is a sequence of stages; name a run of one stage")
    if lineage_of(other).get("forgets"):
        raise UserError(f"--join: {other.folder} forgot rows; join the run that it comes from, and forget them then")
    held = _held_by(parent)
    if other.folder.resolve() in held:
        raise UserError(f"--join: {parent.folder} has {other.folder} already; name another run")
    before = parent_of(other)
    if before is not None and before.folder.resolve() not in held:
        raise UserError(
            f"--join: {other.folder} comes from {before.folder}, which {parent.folder} has not; join {before.folder} "
            "first"
        )
    file = UNLEARNING[method].file
    if before is not None and not (before.folder / MEMORY / file).is_file():
        raise UserError(
            f"--join: the sums of {other.folder} hold the rows of {before.folder}, which {parent.folder} has learnt, "
            "too; continue with the data of the other run instead"
        )
    values = parent.config.model_dump(mode="python")
    values["name"] = next_name(parent, again)
    values["export"]["name"] = parent.config.served_name
    values["data"] = other.config.model_dump(mode="python")["data"]
    values["task"]["labels"] = None
    values["continual"] = method_of_parent(parent)
    return read_config(values, overrides)


def joined_tables(other: Run, tables: Mapping[str, Table]) -> dict[str, Table]:
    """The splits of the other run. Raises UserError where its training rows are not those that it learnt."""
    if tables["train"].fingerprint() != other.own_data().get("train"):
        raise UserError(
            f"data.train of {other.folder}: these are not the rows that it learnt; bring the data back as it was: what "
            "is forgotten later must be known"
        )
    return dict(tables)


def _method(run: Run) -> str | None:
    return run.config.continual.method if run.config.continual is not None else None


def _held_by(run: Run) -> set[Path]:
    """The folders of all runs whose rows are in a run's sums."""
    line = ancestors(run)
    taken = [
        Path(os.path.normpath(each.folder / entry["run"]))
        for each in line
        for entry in (lineage_of(each).get("parents") or [])[1:]
    ]
    return {folder.resolve() for folder in (*(each.folder for each in line), *taken)}
