"""What all workers of a run must have alike before the first step, as one digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kerasft.config.schema import Config
from kerasft.data.prepared.prepared import Prepared
from kerasft.distribution.workers import digest_of
from kerasft.tasks.base import Task


def run_digest(config: Config, task: Task, prepared: Mapping[str, Prepared]) -> str:
    """Of all that decides what a step does and which weights are best."""
    parts: list[Any] = [config.model_dump_json(), json.dumps(task.state, sort_keys=True)]
    for split, rows in prepared.items():
        parts += [] if rows.epochs is None else rows.epochs
        for side in rows.sides:
            parts += [split, side.offsets, side.targets, *(side.features[name] for name in sorted(side.features))]
            # What a teacher says may differ in its last bits from machine to machine.
            parts += [f"{name} {side.beside[name].shape}" for name in sorted(side.beside)]
    return digest_of(*parts)
