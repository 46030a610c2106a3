"""The pairs of LoRA as Hugging Face's PEFT writes them, and back.

GPT-2's query, key and value are one layer there: three pairs become one of their ranks' sum, whose B has a block for
each; and a pair of that layer is three that share A, each with its third of B. Both compute the same.
"""

from __future__ import annotations

import math
import re
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
_CHANGE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")  # starts in PEFT that take something off the base


@dataclass(frozen=True)
class Matrices:
    """A pair in NumPy: a (inner, rank), b (rank, outer), and what their product is multiplied by."""

    a: np.ndarray
    b: np.ndarray
    scale: float


def lora_config(config: PairsConfig, backbone: keras.Model, pairs: Mapping[str, tuple[int, float]]) -> dict[str, Any]:
    """PEFT's settings of an adapter of pairs.

    Layers are named in full: by the end of a name PEFT would take `attention.output.dense` for `output.dense`, too.

    Args:
        config: rank and alpha of most pairs.
        backbone: tells what the layers are called.
        pairs: path of a layer -> rank of its pair, and what the product is multiplied by.
    """
    family = family_of(backbone)
    ranks: dict[str, int] = {}
    alphas: dict[str, float] = {}
    for path, name in module_names(backbone, list(pairs)).items():
        module, (rank, scale) = name.partition("[")[0], pairs[path]
        ranks[module] = ranks.get(module, 0) + rank  # thirds of a joint layer are one pair
        alphas[module] = scale * (math.sqrt(ranks[module]) if config.scaling == "sqrt" else ranks[module])
    return {
        "peft_type": "LORA",
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "use_rslora": config.scaling == "sqrt",
        "target_modules": sorted(ranks),
        "fan_in_fan_out": family.turned,
        "rank_pattern": {name: rank for name, rank in ranks.items() if rank != config.rank},
        "alpha_pattern": {name: alpha for name, alpha in alphas.items() if not math.isclose(alpha, config.alpha)},
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
        scale = _scale(adapter, known, a.shape[1])
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


def _scale(adapter: Adapter, module: str, rank: int) -> float:
    """What the product of a module's pair is multiplied by."""
    alpha = adapter.config["lora_alpha"]
    for key, value in (adapter.config.get("alpha_pattern") or {}).items():
        if re.search(r"[^\w.-]", key.removeprefix("^")):
            raise UserError(
                f"{adapter.folder}: alpha_pattern has the regular expression {key}, which is not read; name each layer"
            )
        if module == key.removeprefix("^") or module.endswith(f".{key}"):
            alpha = value  # of the first that fits, as PEFT has it
            break
    return float(alpha) / (math.sqrt(rank) if adapter.config.get("use_rslora") else rank)


def _check_settings(adapter: Adapter, config: PairsConfig) -> None:
    there = adapter.config
    if there.get("peft_type") != "LORA":
        raise UserError(f"{adapter.folder} is of {there.get('peft_type')}, not LORA; set model.peft.method accordingly")
    if bool(there.get("use_dora")) != (config.method == "dora"):
        other = "dora" if there.get("use_dora") else "lora"
        raise UserError(f"model.peft.method: {config.method}, but {adapter.folder} is of {other}; set it to that")
    begun = str(there.get("init_lora_weights", True)).lower()
    if begun.startswith(_CHANGE_BASE) or there.get("layer_replication"):
        what = "layer_replication" if there.get("layer_replication") else f"init_lora_weights: {begun}"
        raise UserError(
            f"{adapter.folder} has {what}, so that it belongs to a changed base; convert it to a plain LoRA adapter "
            "when you save it"
        )
    if there.get("bias", "none") != "none":
        raise UserError(f"{adapter.folder} has biases, which are not read; train it with bias: none")
    for key, name, mine in (("r", "rank", config.rank), ("lora_alpha", "alpha", config.alpha)):
        if there.get(key) != mine:
            raise UserError(f"model.peft.{name}: {mine}, but {adapter.folder} has {there.get(key)}; set it to that")
    if bool(there.get("use_rslora")) != (config.scaling == "sqrt"):
        other = "sqrt" if there.get("use_rslora") else "rank"
        raise UserError(f"model.peft.scaling: {config.scaling}, but {adapter.folder} has {other}; set it to that")
