"""The pairs of LoRA as Hugging Face's PEFT writes them, and back.

GPT-2's query, key and value are one layer there: three pairs become one of their ranks' sum, whose B has a block for
each; and a pair of that layer is three that share A, each with its third of B. Both compute the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasft.config.peft import PairsConfig
from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.module_names import family_of, module_names
from kerasft.peft.targets import Target

LORA_A, LORA_B = "lora_A.weight", "lora_B.weight"


@dataclass(frozen=True)
class Matrices:
    """A pair in NumPy: a (inner, rank), b (rank, outer), and what their product is multiplied by."""

    a: np.ndarray
    b: np.ndarray
    scale: float


def lora_config(config: PairsConfig, backbone: keras.Model, paths: Sequence[str]) -> dict[str, Any]:
    """PEFT's settings of an adapter of pairs at these layers.

    Layers are named in full: by the end of a name PEFT would take `attention.output.dense` for `output.dense`, too.
    """
    family = family_of(backbone)
    modules: dict[str, int] = {}
    for name in module_names(backbone, paths).values():
        modules[name.partition("[")[0]] = modules.get(name.partition("[")[0], 0) + 1
    joint = {name: count for name, count in modules.items() if count > 1}
    alphas = {n: config.alpha * (math.sqrt(c) if config.scaling == "sqrt" else c) for n, c in joint.items()}
    return {
        "peft_type": "LORA",
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "use_rslora": config.scaling == "sqrt",
        "target_modules": sorted(modules),
        "fan_in_fan_out": family.turned,
        "rank_pattern": {name: config.rank * count for name, count in joint.items()},
        "alpha_pattern": alphas,
        "bias": "none",
        "inference_mode": True,
    }


def lora_tensors(backbone: keras.Model, pairs: Mapping[str, Matrices]) -> dict[str, np.ndarray]:
    """Path of a layer -> its pair, as tensors by PEFT's names."""
    family, names = family_of(backbone), module_names(backbone, list(pairs))
    found: dict[str, np.ndarray] = {}
    joint: dict[str, dict[int, Matrices]] = {}
    for path, name in names.items():
        module, _, third = name.partition("[")
        if third:
            joint.setdefault(module, {})[int(third[:-1])] = pairs[path]
        else:
            found |= {f"{module}.{LORA_A}": pairs[path].a.T, f"{module}.{LORA_B}": pairs[path].b.T}
    for module, thirds in joint.items():
        width = next(iter(thirds.values())).b.shape[1]
        ranks = [pair.a.shape[1] for pair in thirds.values()]
        b = np.zeros((family.thirds * width, sum(ranks)), np.float32)  # (outer, rank)
        for (third, pair), first in zip(thirds.items(), np.cumsum([0, *ranks])):
            b[third * width : (third + 1) * width, first : first + pair.a.shape[1]] = pair.b.T
        found[f"{module}.{LORA_A}"] = np.concatenate([pair.a.T for pair in thirds.values()])
        found[f"{module}.{LORA_B}"] = b
    return found


def read_pairs(
    adapter: Adapter, config: PairsConfig, backbone: keras.Model, targets: Sequence[Target]
) -> list[Matrices]:
    """The pair of each target.

    Raises:
        UserError: the adapter is of another method or settings, lacks a layer, has one more, other shapes, or a pair of
            zeros alone, which would never train.
    """
    _check_settings(adapter, config)
    family = family_of(backbone)
    names = module_names(backbone, [target.path for target in targets])
    found, used = [], set()
    for target in targets:
        module, _, third = names[target.path].partition("[")
        known = _known(adapter, module, family.prefix)
        if known is None:
            raise UserError(
                f"{adapter.folder} has nothing for {target.path} ({module}); name its layers in model.peft.targets: "
                f"kerasft adapter import {adapter.folder} writes the section"
            )
        used |= {f"{known}.{LORA_A}", f"{known}.{LORA_B}"}
        a, b = adapter.tensors[f"{known}.{LORA_A}"].T, adapter.tensors[f"{known}.{LORA_B}"].T
        parts = family.thirds if third else 1
        if a.shape[0] != target.inner or b.shape != (a.shape[1], target.outer * parts):
            raise UserError(
                f"{adapter.folder}: {known} is {a.shape[0]} x {b.shape[1]}, and {target.path} of this model.preset is "
                f"{target.inner} x {target.outer * parts}; use the preset that it was trained with"
            )
        if not a.any() and not b.any():
            raise UserError(f"{adapter.folder}: A and B of {known} are zero, so that it could never learn")
        scale = _scale(adapter.config, module, a.shape[1])
        if third:
            b = b[:, int(third[:-1]) * target.outer :][:, : target.outer]
            if adapter.facts:  # ours has a block for each third
                mine = b.any(axis=1)
                a, b = (a[:, mine], b[mine]) if mine.any() else (a, b)
        found.append(Matrices(a, b, scale))
    left = sorted(name for name in adapter.tensors if name.endswith((LORA_A, LORA_B)) and name not in used)
    if left:
        raise UserError(
            f"{adapter.folder} has {left[0]}, which model.peft.targets leaves out; kerasft adapter import "
            f"{adapter.folder} writes the section"
        )
    return found


def _known(adapter: Adapter, module: str, prefix: str) -> str | None:
    """The name that a module has in the file: with the prefix of a model with a head, or without."""
    for name in (module, module.removeprefix(prefix)):
        if f"{name}.{LORA_A}" in adapter.tensors and f"{name}.{LORA_B}" in adapter.tensors:
            return name
    return None


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = config.get("alpha_pattern", {}).get(module, config["lora_alpha"])
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _check_settings(adapter: Adapter, config: PairsConfig) -> None:
    there = adapter.config
    if there.get("peft_type") != "LORA":
        raise UserError(f"{adapter.folder} is of {there.get('peft_type')}, not LORA; set model.peft.method accordingly")
    if bool(there.get("use_dora")) != (config.method == "dora"):
        other = "dora" if there.get("use_dora") else "lora"
        raise UserError(f"model.peft.method: {config.method}, but {adapter.folder} is of {other}; set it to that")
    if there.get("bias", "none") != "none":
        raise UserError(f"{adapter.folder} has biases, which are not read; train it with bias: none")
    for key, name, mine in (("r", "rank", config.rank), ("lora_alpha", "alpha", config.alpha)):
        if there.get(key) != mine:
            raise UserError(f"model.peft.{name}: {mine}, but {adapter.folder} has {there.get(key)}; set it to that")
    if bool(there.get("use_rslora")) != (config.scaling == "sqrt"):
        other = "sqrt" if there.get("use_rslora") else "rank"
        raise UserError(f"model.peft.scaling: {config.scaling}, but {adapter.folder} has {other}; set it to that")
