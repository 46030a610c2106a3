"""Sums of LoRA adapters of one base, from their files alone, without TensorFlow.

    linear  the weighted sum of what they add to each kernel: exact, and as many columns as all have together
    svd     the same, cut to a rank
    ties    small numbers trimmed, signs elected, those that agree averaged (Yadav et al. 2023, arXiv:2306.01708)
    dare    numbers dropped at random, the others made larger (Yu et al. 2023, arXiv:2311.03099)

The last two work on what an adapter adds to a kernel, as their papers do, and are cut to a rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter

HOWS = ("linear", "ties", "dare", "svd")
LORA_A, LORA_B = ".lora_A.weight", ".lora_B.weight"
NEW_ROWS = "kerasft_new_rows.weight"


@dataclass(frozen=True)
class Sum:
    """How adapters are added.

    Attributes:
        how: one of HOWS.
        weights: of each adapter.
        rank: of the result; None: the largest of theirs. Not for `linear`.
        density: the share of numbers that `ties` and `dare` keep.
        seed: of what `dare` draws.
    """

    how: str
    weights: Sequence[float]
    rank: int | None = None
    density: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Added:
    """What a sum comes to.

    Attributes:
        config: PEFT's settings.
        tensors: pairs of all layers, and the head of the first adapter.
        kept: the share of the squared sum that the cut to a rank has left; 1 where nothing was cut.
    """

    config: dict[str, Any]
    tensors: dict[str, np.ndarray]
    kept: float


def add_adapters(adapters: Sequence[Adapter], by: Sum) -> Added:
    """The sum of adapters, itself an adapter of LoRA.

    Raises:
        UserError: one is of another method than LoRA or of another base, has tokens of its own, or layers have other
            shapes.
    """
    _check_alike(adapters)
    modules = sorted({name.removesuffix(LORA_A) for each in adapters for name in each.tensors if name.endswith(LORA_A)})
    rank = by.rank or max(int(each.config["r"]) for each in adapters)
    pairs, kept, whole = {}, 0.0, 0.0
    for place, module in enumerate(modules):
        found = [_pair(adapter, module) for adapter in adapters]
        if by.how == "linear":
            pairs[module] = _side_by_side(found, by.weights)
            continue
        deltas = [None if pair is None else pair[0] @ pair[1] for pair in found]
        delta = _sum(deltas, by, np.random.default_rng([by.seed, place]))
        pairs[module] = cut(delta, rank)
        whole += float((delta**2).sum())
        kept += float(((pairs[module][0] @ pairs[module][1]) ** 2).sum())
    first = adapters[0]
    rest = {name: value for name, value in first.tensors.items() if ".lora_" not in name}
    tensors = {f"{module}{LORA_A}": a.T for module, (a, _) in pairs.items()}
    tensors |= {f"{module}{LORA_B}": b.T for module, (_, b) in pairs.items()}
    ranks = {module: a.shape[1] for module, (a, _) in pairs.items()}
    return Added(config_of(ranks, first.config), {**tensors, **rest}, kept / whole if whole else 1.0)


def cut(delta: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """(inner, outer) -> the nearest product of (inner, rank) and (rank, outer), by singular values, half in either."""
    left, values, right = np.linalg.svd(delta.astype(np.float64), full_matrices=False)
    root = np.sqrt(values[:rank])
    return (left[:, :rank] * root).astype(np.float32), (root[:, None] * right[:rank]).astype(np.float32)


def config_of(ranks: Mapping[str, int], like: Mapping[str, Any]) -> dict[str, Any]:
    """PEFT's settings of pairs whose products are added as they are.

    Args:
        ranks: of each module.
        like: settings of an adapter of the same base, of which the names of base, task and head are taken.
    """
    most = max(ranks.values())
    other = {module: rank for module, rank in ranks.items() if rank != most}
    taken = ("base_model_name_or_path", "task_type", "modules_to_save", "fan_in_fan_out")
    return {
        **{key: like.get(key) for key in taken},
        "peft_type": "LORA",
        "r": most,
        "lora_alpha": float(most),
        "lora_dropout": 0.0,
        "use_rslora": False,
        "target_modules": sorted(ranks),
        "rank_pattern": other,
        "alpha_pattern": {module: float(rank) for module, rank in other.items()},
        "bias": "none",
        "inference_mode": True,
    }


def _check_alike(adapters: Sequence[Adapter]) -> None:
    first = adapters[0]
    for each in adapters:
        there = each.config
        if there.get("peft_type") != "LORA" or there.get("use_dora"):
            kind = "DoRA" if there.get("use_dora") else there.get("peft_type")
            raise UserError(f"{each.folder} is of {kind}; adapters of LoRA can be added")
        if there.get("bias", "none") != "none":
            raise UserError(f"{each.folder} has biases, which are not added; train it with bias: none")
        if NEW_ROWS in each.tensors:
            raise UserError(f"{each.folder} has tokens of its own, which can't be added")
        for what, one, other in (
            ("base", first.base, each.base),
            ("base (quantization)", first.packing, each.packing),
            ("tokenizer", first.tokenizer, each.tokenizer),
        ):
            if one != other:
                raise UserError(f"{each.folder} is of another {what} than {first.folder}; they can't be added")


def _pair(adapter: Adapter, module: str) -> tuple[np.ndarray, np.ndarray] | None:
    """(inner, rank) and (rank, outer) with the scale in the second; None: the adapter leaves the layer as it is."""
    a, b = adapter.tensors.get(module + LORA_A), adapter.tensors.get(module + LORA_B)
    if a is None or b is None:
        return None
    alpha = float(adapter.config["lora_alpha"])
    for key, value in (adapter.config.get("alpha_pattern") or {}).items():
        if re.search(r"[^\w.-]", key.removeprefix("^")):
            raise UserError(f"{adapter.folder}: alpha_pattern has the regular expression {key}, which is not read")
        if module == key.removeprefix("^") or module.endswith(f".{key}"):
            alpha = float(value)  # of the first that fits, as PEFT has it
            break
    rank = a.shape[0]
    scale = alpha / (math.sqrt(rank) if adapter.config.get("use_rslora") else rank)
    return a.T, scale * b.T


def _side_by_side(pairs: Sequence, weights: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    found = [(a, weight * b) for pair, weight in zip(pairs, weights) if pair is not None for a, b in [pair]]
    if len({(a.shape[0], b.shape[1]) for a, b in found}) > 1:
        raise UserError("a layer has other sizes in one of the adapters; they are not of one base")
    return np.concatenate([a for a, _ in found], axis=1), np.concatenate([b for _, b in found])


def _sum(deltas: Sequence[np.ndarray | None], by: Sum, random: np.random.Generator) -> np.ndarray:
    shapes = {delta.shape for delta in deltas if delta is not None}
    if len(shapes) > 1:
        raise UserError("a layer has other sizes in one of the adapters; they are not of one base")
    whole = np.stack([np.zeros(next(iter(shapes)), np.float32) if delta is None else delta for delta in deltas])
    weights = np.asarray(by.weights, np.float32)[:, None, None]
    if by.how == "ties":
        return ties(weights * whole, by.density)
    if by.how == "dare":
        return (weights * dare(whole, by.density, random)).sum(0)
    return (weights * whole).sum(0)


def ties(deltas: np.ndarray, density: float) -> np.ndarray:
    """(adapters, ...) -> (...): of each the largest numbers, and of those the mean that have the sign of their sum."""
    flat = np.abs(deltas).reshape(len(deltas), -1)
    count = max(1, round(density * flat.shape[1]))
    least = np.sort(flat, axis=1)[:, -count].reshape(-1, *[1] * (deltas.ndim - 1))
    trimmed = np.where(np.abs(deltas) >= least, deltas, 0.0)
    sign = np.where(trimmed.sum(0) >= 0, 1.0, -1.0)
    agree = trimmed * sign > 0
    return np.where(agree, trimmed, 0.0).sum(0) / np.maximum(agree.sum(0), 1)


def dare(deltas: np.ndarray, density: float, random: np.random.Generator) -> np.ndarray:
    """(adapters, ...): numbers that stay with this probability, made as much larger."""
    return np.where(random.random(deltas.shape) < density, deltas / density, 0.0)
