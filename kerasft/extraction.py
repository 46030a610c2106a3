"""The difference of a run and the preset that it began with, as an adapter of LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kerasft import __version__
from kerasft.errors import UserError
from kerasft.runs import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kerasft.assembly import Assembled
    from kerasft.peft.lora_files import Matrices
    from kerasft.tasks.base import Task


@dataclass(frozen=True)
class Extracted:
    """What an adapter has of a difference.

    Attributes:
        kept: the share of the squared difference of the linear layers that its rank has left.
        beside: the share of the squared difference of all weights that lies in other weights, which it has not.
    """

    kept: float
    beside: float


def extract(run: Run, rank: int, folder: Path) -> Extracted:
    """Writes an adapter to a folder that exists.

    Args:
        run: that trained all weights, or some, of a preset.
        rank: of each layer's pair; of one that has fewer, as many as it has.
        folder: gets the three files.

    Raises:
        UserError: the run has no linear layer of the preset that it changed, or a vocabulary of its own.
    """
    from kerasft.assembly import head_of
    from kerasft.models.presets.presets import load_tokenizer, resolve_preset
    from kerasft.models.tokenizers.digest import tokenizer_digest
    from kerasft.peft.adapter_files import write_adapter
    from kerasft.peft.base_digest import base_digest
    from kerasft.peft.head_tensors import head_tensors
    from kerasft.peft.lora_files import lora_tensors
    from kerasft.peft.module_names import family_of
    from kerasft.peft.sums import config_of
    from kerasft.tasks.registry import create_task

    if run.config.model.preset is None:
        raise UserError(f"{run.folder} was trained from scratch, so that there is no base for an adapter")
    preset = str(resolve_preset(run.config.model.preset))
    task = create_task(run.config, run.load_state())
    trained, base, moved = _both(run, task, preset)
    pairs, found = _pairs(run, base, moved, rank)
    tensors = lora_tensors(base, pairs)
    ranks = {name.removesuffix(".lora_A.weight"): len(value) for name, value in tensors.items() if "lora_A" in name}
    head, modules = head_tensors(trained.model, trained.backbone, head_of(trained))
    like = {
        "base_model_name_or_path": run.config.model.preset,
        "task_type": task.peft_type,
        "modules_to_save": modules or None,
        "fan_in_fan_out": family_of(base).turned,
    }
    facts = {
        "kerasft": __version__,
        "base": {"preset": run.config.model.preset, "sha256": base_digest(base)},
        "tokenizer": {"sha256": tokenizer_digest(load_tokenizer(preset))},
        "task": run.config.task.model_dump(mode="json"),
        "state": task.state,
        "labels": task.state.get("labels"),
        "max_length": run.config.model.max_length,
    }
    write_adapter(folder, config_of(ranks, like), {**tensors, **head}, facts)
    return found


def _both(run: Run, task: Task, preset: str) -> tuple[Assembled, keras.Model, dict[str, np.ndarray]]:
    """The trained model, the backbone that it began with, and how far each weight has moved, by its path."""
    from keras import ops

    from kerasft.assembly import load_model
    from kerasft.models.presets.presets import load_backbone
    from kerasft.peft.base_digest import new_pooler

    trained, base = load_model(run.folder / "model", task), load_backbone(preset, dropout=None, dtype="float32")
    before = {weight.path: ops.convert_to_numpy(weight) for weight in base.weights}
    after = {weight.path: ops.convert_to_numpy(weight) for weight in trained.backbone.weights}
    if other := [path for path, value in after.items() if path not in before or before[path].shape != value.shape]:
        raise UserError(f"{run.folder}: {other[0]} is not as in {run.config.model.preset}; it has tokens of its own")
    if trained.parts:
        raise UserError(f"{run.folder} has an adapter that stays in the model; export that: kerasft adapter export")
    drawn = {weight.path for weight in new_pooler(base)}  # anew by each run
    return trained, base, {path: value - before[path] for path, value in after.items() if path not in drawn}


def _pairs(
    run: Run, base: keras.Model, moved: Mapping[str, np.ndarray], rank: int
) -> tuple[dict[str, Matrices], Extracted]:
    """A pair for each linear layer that has moved and has a name in files, by its path."""
    from kerasft.models.blocks import transformer_blocks
    from kerasft.peft.lora_files import Matrices
    from kerasft.peft.module_names import known_names
    from kerasft.peft.sums import cut
    from kerasft.peft.targets import linear_layers

    targets = {target.path: target for target in linear_layers(base) if target.depth <= len(transformer_blocks(base))}
    pairs, kept, whole = {}, 0.0, 0.0
    for target in (targets[path] for path in known_names(base, list(targets))):
        delta = moved.get(target.layer.kernel.path)
        if delta is None or not delta.any():
            continue
        delta = delta.reshape(target.inner, target.outer)
        a, b = cut(delta, min(rank, target.inner, target.outer))
        pairs[target.path] = Matrices(a, b, 1.0)
        kept, whole = kept + float(((a @ b) ** 2).sum()), whole + float((delta**2).sum())
    if not pairs:
        raise UserError(
            f"{run.folder} has changed no linear layer of {run.config.model.preset}; there is no difference"
        )
    every = sum(float((value**2).sum()) for value in moved.values())
    return pairs, Extracted(kept / whole, max(0.0, 1.0 - whole / every))
