"""What the process of a trial is told, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasft.config.schema import Config

# Step, headline figure, steps of the whole trial -> whether the trial ends here.
Report = Callable[[int, float, int], bool]
COMPLETE, PRUNED, FAILED, INTERRUPTED = "complete", "pruned", "failed", "interrupted"


@dataclass(frozen=True)
class Job:
    """What a process of a search is to do.

    Attributes:
        config: of the run; its folder is `output.dir`/`name`.
        rows: the config that the rows are read by; its seed may be another.
        headline: the figure of a validation that counts.
        latency: measure milliseconds of an answer, too.
        test: measure the finished run on the test split of `rows`, and do nothing else.
    """

    config: Config
    rows: Config
    headline: str
    latency: bool = False
    test: bool = False

    @property
    def folder(self) -> Path:
        """Of the run."""
        return Path(self.config.output.dir) / self.config.name


@dataclass(frozen=True)
class Ending:
    """How a job ended.

    Attributes:
        kind: complete, pruned, failed or interrupted.
        figures: of a complete one: value, steps, sha256, size, latency where it was asked for, metrics.
        why: of one that failed, a sentence that begins with its kind: diverged, storage, refused or crashed.
    """

    kind: str
    figures: dict[str, Any] = field(default_factory=dict)
    why: str = ""
