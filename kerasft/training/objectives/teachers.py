"""Which runs teach: one, or the members of an ensemble. Without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

from kerasft.errors import UserError
from kerasft.runs import Run

KEY = "training.objective.teacher"  # of a config
ENSEMBLE = "ensemble.json"  # in the folder of `kerasft ensemble`


def teaching_runs(folder: Path) -> list[tuple[Run, float]]:
    """The runs whose answers a student learns, each with its share.

    Args:
        folder: of a run, or of an ensemble, whose members are where they were when it was made.

    Raises:
        UserError: it is neither, or a member is not there any more or was trained again.
    """
    file = folder / ENSEMBLE
    if not file.is_file():
        return [(Run.open(folder), 1.0)]
    record = json.loads(file.read_text(encoding="utf-8"))
    runs = []
    for member, share in zip(record["members"], record["shares"], strict=True):
        run = Run.open(Path(member["run"]))
        if any(member.get(key) != value for key, value in (run.identity() or {}).items()):
            raise UserError(f"{folder}: its member {run.folder} was trained again since; make the ensemble again")
        runs.append((run, share))
    return runs
