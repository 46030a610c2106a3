"""Which class is which `method`, and the one road to all of them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.compress.base import Method
from kerasft.compress.compression import compress_run, smaller_config
from kerasft.compress.distil import distil_run
from kerasft.compress.prune_weights import prune_run
from kerasft.config.compress import CompressConfig, DistilConfig, PruneWeightsConfig
from kerasft.config.load import override_config
from kerasft.console.terminal import Terminal
from kerasft.errors import UserError
from kerasft.paths import check_no_pattern
from kerasft.runs import Run
from kerasft.session import Existing, Outcome
from kerasft.training.objectives.teachers import ENSEMBLE, teaching_runs

# Loaded only once one is asked for: they import TensorFlow. Methods that train are in `distil` and `prune_weights`.
CLASSES = {
    "vocabulary": ("kerasft.compress.vocabulary", "Vocabulary"),
    "quantize": ("kerasft.compress.quantize", "Quantize"),
    "feedforward": ("kerasft.compress.feed_forward", "FeedForward"),
    "heads": ("kerasft.compress.heads", "Heads"),
    "auto": ("kerasft.compress.auto", "Auto"),
    "drop_layers": ("kerasft.compress.drop_layers", "DropLayers"),
}


def method_of(settings: CompressConfig) -> Method[Any]:
    """The method that a section names."""
    module, name = CLASSES[settings.method]
    return getattr(importlib.import_module(module), name)(settings)


def compress(
    folder: Path, settings: CompressConfig, overrides: Sequence[str], existing: Existing, terminal: Terminal
) -> Outcome:
    """A smaller run from a run.

    Args:
        folder: of the run; or of an ensemble, which `distil` makes one smaller model of.
        settings: of the method; see `kerasft.config.compress`.
        overrides: `key=value` of the config: any, for methods that train, and of `output` and `export`.
        existing: what becomes of a run of that name.
        terminal: shows progress and results.

    Raises:
        UserError: there is no such run, or it can't be made smaller in this way; nothing has been written then.
    """
    check_no_pattern(folder, "RUN")
    if (folder / ENSEMBLE).is_file():
        folder, settings, overrides = _first_member(folder, settings, overrides, terminal)
    parent = Run.open(folder)
    if isinstance(settings, DistilConfig):
        return distil_run(parent, settings, overrides, existing, terminal)
    if isinstance(settings, PruneWeightsConfig):
        return prune_run(parent, settings, overrides, existing, terminal)
    config = override_config(smaller_config(parent, settings).model_dump(mode="python"), overrides)
    return compress_run(parent, config, settings, functools.partial(method_of, settings), existing, terminal)


def _first_member(
    folder: Path, settings: CompressConfig, overrides: Sequence[str], terminal: Terminal
) -> tuple[Path, CompressConfig, Sequence[str]]:
    """The run that a student of an ensemble begins with, and settings and keys by which the ensemble teaches it."""
    first = teaching_runs(folder)[0][0].folder
    if not isinstance(settings, DistilConfig):
        raise UserError(
            f"{folder}: is an ensemble, and method={settings.method} makes a run from a run; name a member, such as "
            f"{first}, or take method=distil"
        )
    if settings.teacher is not None:
        raise UserError(f"teacher: {folder} is an ensemble, which teaches itself; leave teacher out, or name a run")
    terminal.line(f"{folder} teaches; the student begins with its member {first}, and is compared with that")
    if first.resolve().is_relative_to(folder.resolve()):  # it was trained for the ensemble, which is exported instead
        overrides = [f"output.dir={folder.parent}", "export.enabled=true", *overrides]
    return first, settings.model_copy(update={"teacher": str(folder)}), overrides
