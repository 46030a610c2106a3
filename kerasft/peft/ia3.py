"""IA3: keys, values and what the second feed-forward layer reads are rescaled (Liu et al. 2022, arXiv:2205.05638)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import Ia3Config
from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.beside import Beside
from kerasft.peft.forms import LayerAdapter, Product, Values
from kerasft.peft.module_names import family_of, module_names
from kerasft.peft.targets import Target, find_targets

SCALE = "ia3_l"
_GIVEN = re.compile(r"(self|cross)_attention(_layer)?/(key|value)(_projector)?$")
_READ = re.compile(r"/(feedforward_output_dense|output_projector)$")


class Scaled(LayerAdapter):
    """A layer whose result, bias and all, is multiplied number by number: `ia3_l` (outer,), ones at first."""

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        return base(x) * self.read(SCALE, x)

    def bias(self, bias: tf.Tensor) -> tf.Tensor:
        return bias * self.read(SCALE, bias)

    def merged(self) -> Values:
        scale, layer = self.value(SCALE), self.target.layer
        yield from self.kernel(self.target.matrix() * scale)
        if layer.bias is not None:
            yield layer.bias, (keras.ops.convert_to_numpy(layer.bias).reshape(-1) * scale).reshape(layer.bias.shape)


class ScaledInput(LayerAdapter):
    """A layer that reads its input multiplied number by number: `ia3_l` (inner,), ones at first."""

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        return base(x * self.read(SCALE, x))

    def merged(self) -> Values:
        yield from self.kernel(self.target.matrix() * self.value(SCALE)[:, None])


class Ia3(Beside):
    """`model.peft.method: ia3`."""

    name = "ia3"
    config: Ia3Config

    def __init__(
        self, config: Ia3Config, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        targets = find_targets(model, backbone, "all_linear", config.layers)
        given = [target for target in targets if _GIVEN.search(target.path)]
        read = [target for target in targets if _READ.search(target.path) and "attention/" not in target.path]
        if not given or not read:
            raise UserError(f"model.peft.method: ia3 does not know the layers of a {type(backbone).__name__}; use lora")
        values = self._values(start) if start is not None else {}
        ones = {t.path: np.ones(t.outer, np.float32) for t in given}
        ones |= {t.path: np.ones(t.inner, np.float32) for t in read}
        self.adapters = []
        for target in (t for t in targets if t.path in ones):
            value = self._checked(target, values, ones[target.path]) if start is not None else ones[target.path]
            kind = Scaled if _GIVEN.search(target.path) else ScaledInput
            self.adapters.append(kind(target, {SCALE: self.bank.add(f"{target.path}/{SCALE}", value)}))

    def _modules(self) -> dict[str, str]:
        return module_names(self.backbone, [adapter.target.path for adapter in self.adapters])

    def peft_config(self) -> dict[str, Any]:
        names = self._modules()
        read = {names[a.target.path] for a in self.adapters if isinstance(a, ScaledInput)}
        return {
            "peft_type": "IA3",
            "target_modules": sorted({name.partition("[")[0] for name in names.values()}),
            "feedforward_modules": sorted(read),
            "fan_in_fan_out": family_of(self.backbone).turned,
            "inference_mode": True,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        names, family = self._modules(), family_of(self.backbone)
        found: dict[str, np.ndarray] = {}
        for adapter in self.adapters:
            module, _, third = names[adapter.target.path].partition("[")
            value, name = adapter.value(SCALE), f"{module}.{SCALE}"
            if third:  # of a joint layer; its other thirds keep what they give
                whole = found.setdefault(name, np.ones((family.thirds * value.size, 1), np.float32))
                whole[int(third[:-1]) * value.size :][: value.size, 0] = value
            else:
                found[name] = value[None] if isinstance(adapter, ScaledInput) else value[:, None]
        return found

    def _values(self, start: Adapter) -> Mapping[str, np.ndarray]:
        """The file's vectors."""
        if start.config.get("peft_type") != "IA3":
            raise UserError(
                f"{start.folder} is of {start.config.get('peft_type')}, not IA3; set model.peft.method accordingly"
            )
        return {name: value.reshape(-1) for name, value in start.tensors.items() if name.endswith(f".{SCALE}")}

    def _checked(self, target: Target, values: Mapping[str, np.ndarray], ones: np.ndarray) -> np.ndarray:
        assert self.start is not None  # `values` are of it
        family = family_of(self.backbone)
        module, _, third = module_names(self.backbone, [target.path])[target.path].partition("[")
        value = values.get(f"{module}.{SCALE}", values.get(f"{module.removeprefix(family.prefix)}.{SCALE}"))
        if value is not None and third:
            parts = [value[i * ones.size :][: ones.size] for i in range(family.thirds)]
            value = parts[int(third[:-1])]
            if third == "1]" and len(parts[0]) == len(
                value
            ):  # PEFT scales the joint layer's queries, too: q'k alone counts
                value = value * parts[0]
        if value is None or value.shape != ones.shape:
            what = "nothing" if value is None else f"{value.size} numbers"
            raise UserError(
                f"{self.start.folder} has {what} for {target.path} ({module}); use the preset and the "
                "model.peft.layers that it was trained with"
            )
        return value
