"""`method=prune_weights`: the run goes on training while a growing share of its weights becomes zero.

See `kerasft.peft.pruning`. Matrices stay as large as they are, so that the model is not faster: its file is smaller,
since runs of zeros are packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasft.compress.compression import smaller_config
from kerasft.compress.distil import compared_run
from kerasft.config.compress import PruneWeightsConfig
from kerasft.config.load import override_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.models.presets.narrow_weights import packed_preset
from kerasft.runs import Run
from kerasft.session import Existing, Outcome


def pruned_config(parent: Run, settings: PruneWeightsConfig, overrides: Sequence[str]) -> Config:
    """The run's config with another name and `model.peft.method: pruning`. Raises UserError: a key is wrong."""
    values: dict[str, Any] = smaller_config(parent, settings).model_dump(mode="python")
    keys = {"sparsity", "by", "prune_from", "prune_until"}
    values["model"]["peft"] = {"method": "pruning", **settings.model_dump(include=keys)}
    values["training"]["fit_head"] = False
    return override_config(values, overrides)  # which says in a line what the parent's config can't go with


def prune_run(
    parent: Run, settings: PruneWeightsConfig, overrides: Sequence[str], existing: Existing, terminal: Terminal
) -> Outcome:
    """Trains with masks, packs the zeros, and compares both; the arguments are those of `distil_run`."""
    config = pruned_config(parent, settings, overrides)
    return compared_run(parent, settings, config, existing, terminal, packed_preset)
