"""VeRA: one frozen random pair for all layers, and two vectors a layer (Kopiczko et al. 2023, arXiv:2310.11454)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import VeraConfig
from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.beside import Beside
from kerasft.peft.forms import LayerAdapter, Product, Values
from kerasft.peft.module_names import family_of, module_names
from kerasft.peft.targets import Target, find_targets

D, B = "vera_lambda_d", "vera_lambda_b"
# Thirds of a joint layer are not PEFT's: it would load all other layers without them, and say nothing.
THIRDS = "KERASFT_VERA"
SHARED = {"a": "base_model.vera_A", "b": "base_model.vera_B"}  # names in files


class Vectors(LayerAdapter):
    """x -> x W + ((x A) d B) b with the first `inner` rows of A and the first `outer` columns of B.

    Args:
        target: the layer.
        variables: d (rank,), 0.1 at first; b (outer,), zeros at first.
        a: (the most numbers that a layer reads, rank), shared and frozen.
        b: (rank, the most numbers that a layer gives), shared and frozen.
        dropout: of what A reads; None: there is none.
    """

    def __init__(
        self,
        target: Target,
        variables: Mapping[str, keras.Variable],
        a: keras.Variable,
        b: keras.Variable,
        dropout: keras.layers.Dropout | None,
    ):
        super().__init__(target, variables, () if dropout is None else (dropout,))
        self.a, self.b, self.dropout = a, b, dropout

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        read = x if self.dropout is None else self.dropout(x, training=training)
        a = tf.cast(tf.convert_to_tensor(self.a)[: self.target.inner], x.dtype)
        b = tf.cast(tf.convert_to_tensor(self.b)[:, : self.target.outer], x.dtype)
        narrow = read @ a * self.read(D, x)  # (rows, rank)
        return base(x) + narrow @ b * self.read(B, x)

    def merged(self) -> Values:
        a = keras.ops.convert_to_numpy(self.a)[: self.target.inner]
        b = keras.ops.convert_to_numpy(self.b)[:, : self.target.outer]
        yield from self.kernel(self.target.matrix() + (a * self.value(D)) @ b * self.value(B))


class Vera(Beside):
    """`model.peft.method: vera`."""

    name = "vera"
    config: VeraConfig

    def __init__(
        self, config: VeraConfig, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        targets = find_targets(model, backbone, config.targets, config.layers)
        self.dropout = self.bank.add_dropout(config.dropout, seed)
        inner, outer = max(target.inner for target in targets), max(target.outer for target in targets)
        shared = self._drawn(inner, outer) if start is None else self._shared(start, inner, outer)
        self.a, self.b = (self.bank.add(f"shared/{name}", value, trainable=False) for name, value in shared.items())
        self.adapters = [self._vectors(target) for target in targets]

    def _drawn(self, inner: int, outer: int) -> dict[str, np.ndarray]:
        """Uniform within the root of 3 over what is summed, as PEFT has them."""
        random, rank = np.random.default_rng([self.seed, inner, outer]), self.config.rank
        a, b = (3.0 / inner) ** 0.5, (3.0 / rank) ** 0.5
        return {
            "a": random.uniform(-a, a, (inner, rank)).astype(np.float32),
            "b": random.uniform(-b, b, (rank, outer)).astype(np.float32),
        }

    def _shared(self, start: Adapter, inner: int, outer: int) -> dict[str, np.ndarray]:
        kinds = ("VERA", THIRDS)
        if start.config.get("peft_type") not in kinds or start.config.get("r") != self.config.rank:
            there = f"{start.config.get('peft_type')} of rank {start.config.get('r')}"
            raise UserError(
                f"{start.folder} is {there}, not VERA of rank {self.config.rank}; set model.peft accordingly"
            )
        found = {key: start.tensors[name].T for key, name in SHARED.items() if name in start.tensors}
        shapes = {"a": (inner, self.config.rank), "b": (self.config.rank, outer)}
        if any(key not in found or found[key].shape != shape for key, shape in shapes.items()):
            raise UserError(
                f"{start.folder} has no shared A of {inner} x {self.config.rank} and B of {self.config.rank} x "
                f"{outer}; use the preset and the model.peft.targets that it was trained with"
            )
        return found

    def _vectors(self, target: Target) -> Vectors:
        found = {D: np.full(self.config.rank, self.config.d_start, np.float32), B: np.zeros(target.outer, np.float32)}
        if self.start is not None:
            module = module_names(self.backbone, [target.path])[target.path]
            bare = module.removeprefix(family_of(self.backbone).prefix)
            tensors = self.start.tensors
            for name, value in found.items():
                given = tensors.get(f"{_plain(module)}.{name}", tensors.get(f"{_plain(bare)}.{name}"))
                if given is None or given.shape != value.shape:
                    raise UserError(
                        f"{self.start.folder} has no {name} of {value.size} numbers for {target.path} ({module}); use "
                        "the preset and the model.peft.targets that it was trained with"
                    )
                found[name] = given
        variables = {name: self.bank.add(f"{target.path}/{name}", value) for name, value in found.items()}
        return Vectors(target, variables, self.a, self.b, self.dropout)

    def peft_config(self) -> dict[str, Any]:
        names = module_names(self.backbone, [adapter.target.path for adapter in self.adapters])
        return {
            "peft_type": THIRDS if any("[" in name for name in names.values()) else "VERA",
            "r": self.config.rank,
            "target_modules": sorted({_plain(name) for name in names.values()}),
            "vera_dropout": self.config.dropout,
            "d_initial": self.config.d_start,
            "fan_in_fan_out": family_of(self.backbone).turned,
            "save_projection": True,
            "bias": "none",
            "inference_mode": True,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        names = module_names(self.backbone, [adapter.target.path for adapter in self.adapters])
        found = {
            f"{_plain(names[adapter.target.path])}.{name}": adapter.value(name)
            for adapter in self.adapters
            for name in (D, B)
        }
        return found | {
            SHARED["a"]: keras.ops.convert_to_numpy(self.a).T,
            SHARED["b"]: keras.ops.convert_to_numpy(self.b).T,
        }


def _plain(name: str) -> str:
    """Thirds of a joint layer have names of our own: PEFT has one d for all three, and another result."""
    return name.replace("[", ".third_").replace("]", "")
