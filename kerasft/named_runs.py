"""Runs that a config learns from: that they are there is seen before any row is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kerasft.config.averaging import SoupConfig
from kerasft.config.objective import DistillationConfig
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.paths import is_address
from kerasft.publish import check_adapters
from kerasft.runs import Run
from kerasft.training.objectives.teachers import KEY as TEACHER
from kerasft.training.objectives.teachers import teaching_runs


def check_named_runs(config: Config, folder: Path) -> None:
    """Raises UserError, with the key, where a teacher, a run of a soup or an adapter to export is none, or the run.

    Args:
        config: of the run.
        folder: of the run, which may be an adapter of its own export.
    """
    check_adapters(config, folder)
    for key, named in _named(config):
        try:
            runs = [run for run, _ in teaching_runs(Path(named))] if key == TEACHER else [Run.open(Path(named))]
        except UserError as error:
            raise UserError(f"{key}: {error}") from error
        if any(run.folder.resolve() == folder.resolve() for run in runs):
            raise UserError(f"{key}: {folder} is the run that is to be trained; give one of the two another name")


def _named(config: Config) -> Iterator[tuple[str, str]]:
    objective, averaging = config.training.objective, config.training.averaging
    if isinstance(objective, DistillationConfig) and not is_address(objective.teacher):
        yield TEACHER, objective.teacher
    for folder in averaging.runs if isinstance(averaging, SoupConfig) else ():
        yield "training.averaging.runs", folder
