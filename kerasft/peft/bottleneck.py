"""Bottleneck adapters: a thin layer and one as wide as the model again, behind or beside parts of transformer layers.

Houlsby et al. 2019 (arXiv:1902.00751): behind attention and the feed-forward part, and normalisation trains. Pfeiffer
et al. 2021 (arXiv:2005.00247): behind the feed-forward part alone. He et al. 2022 (arXiv:2110.04366): beside it. The
second layer is zero at first, so that the model begins with the base's bits. Adapters stand before the dropout of their
part, which falls on their output, too.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import AdapterConfig
from kerasft.errors import UserError
from kerasft.models.blocks import layer_depths, transformer_blocks
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.forms import LayerAdapter, Product, Values, adapted
from kerasft.peft.inside import assign_from, modules_in_files, names_in_files
from kerasft.peft.staying import Staying
from kerasft.peft.targets import Target, find_targets

DOWN, DOWN_BIAS, UP, UP_BIAS = "adapter_down", "adapter_down_bias", "adapter_up", "adapter_up_bias"
_IN_FILES = {DOWN: "adapter_down.weight", DOWN_BIAS: "adapter_down.bias"}
_IN_FILES |= {UP: "adapter_up.weight", UP_BIAS: "adapter_up.bias"}
_STD = 0.02  # of the first layer
# Last layers of attention and of feed-forward parts, and the first ones of these.
_ATTENTION = re.compile(r"attention(_layer)?/(attention_output|output_projector)$")
_LAST = re.compile(r"(/feedforward_output_dense|/ffw_linear|/mlp/down_proj|layer_\d+/output_projector)$")
_FIRST = re.compile(r"(/feedforward_intermediate_dense|/ffw_gating|/mlp/up_proj|layer_\d+/input_projector)$")


class Bottleneck(LayerAdapter):
    """h -> h + scale * (act(h D + d) U + u), where h is what the layer gives, bias and all.

    Args:
        target: the layer.
        variables: D (outer, width), normal with a deviation of 0.02 at first; d (width,), U (width, outer) and
            u (outer,), zeros at first.
        activation: of the numbers between.
        scale: of what is added.
    """

    def __init__(self, target: Target, variables: Mapping[str, keras.Variable], activation: str, scale: float):
        super().__init__(target, variables)
        self.activation, self.scale = keras.activations.get(activation), scale

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        own, bias = base(x), self.target.layer.bias
        whole = own if bias is None else own + tf.cast(tf.reshape(tf.convert_to_tensor(bias), [-1]), own.dtype)
        return own + self.through(whole)

    def through(self, read: tf.Tensor) -> tf.Tensor:
        """(rows, outer) -> (rows, outer), what the adapter adds."""
        narrow = self.activation(read @ self.read(DOWN, read) + self.read(DOWN_BIAS, read))  # (rows, width)
        return self.scale * (narrow @ self.read(UP, read) + self.read(UP_BIAS, read))

    def merged(self) -> Values:
        return iter(())


class ReadBeside(LayerAdapter):
    """The first layer of a feed-forward part, which also notes what it reads for the adapter beside the part."""

    def __init__(self, target: Target):
        super().__init__(target, {})
        self._noted = threading.local()  # replicas are traced in threads of their own

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        self._noted.read = x
        return base(x)

    def take(self) -> tf.Tensor:
        """(rows, inner), what the layer read last."""
        read, self._noted.read = self._noted.read, None
        return read

    def merged(self) -> Values:
        return iter(())


class Parallel(Bottleneck):
    """h -> h + scale * (act(x D + d) U + u), where x is what the first layer of the part has read."""

    def __init__(self, first: ReadBeside, *args: Any):
        super().__init__(*args)
        self.first = first

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        return base(x) + tf.cast(self.through(self.first.take()), x.dtype)


class BottleneckAdapters(Staying):
    """`model.peft.method: adapter`."""

    name = "adapter"
    config: AdapterConfig

    def __init__(
        self, config: AdapterConfig, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        targets = find_targets(model, backbone, "all_linear", config.layers)
        last = [target for target in targets if _LAST.search(target.path)]
        first = [target for target in targets if _FIRST.search(target.path)]
        attention = [target for target in targets if _ATTENTION.search(target.path)]
        if not last or (config.style == "houlsby" and not attention) or len(first) != len(last):
            raise UserError(
                f"model.peft.method: adapter does not know the layers of a {type(backbone).__name__}; use lora"
            )
        parallel = config.style == "parallel"
        beside = [ReadBeside(target) for target in first] if parallel else []
        self.adapters: list[Bottleneck] = [
            Parallel(tap, target, self._variables(target), config.activation, config.scale)
            for tap, target in zip(beside, last)
        ]
        if not parallel:
            behind = [*last, *(attention if config.style == "houlsby" else ())]
            self.adapters = [Bottleneck(t, self._variables(t), config.activation, config.scale) for t in behind]
        self.norms = self._norms() if config.style == "houlsby" else []
        for weight in self.norms:
            weight.trainable = True
        if start is not None:
            self._read(start)
        self.stay(adapted([*beside, *self.adapters]))

    def _variables(self, target: Target) -> dict[str, keras.Variable]:
        width, outer = self.config.width, target.outer
        values = {
            DOWN: self.draw(target).normal(0.0, _STD, (outer, width)),
            DOWN_BIAS: np.zeros(width),
            UP: np.zeros((width, outer)),
            UP_BIAS: np.zeros(outer),
        }
        return {
            name: self.bank.add(f"{target.path}/{name}", value.astype(np.float32)) for name, value in values.items()
        }

    def _norms(self) -> list[keras.Variable]:
        """Scales and offsets of normalisation in the transformer layers that are changed."""
        depths, lowest = layer_depths(self.backbone), min(adapter.target.depth for adapter in self.adapters)
        layers = [layer for block in transformer_blocks(self.backbone) for layer in block._flatten_layers()]
        norms = {id(w): w for layer in layers if "norm" in type(layer).__name__.lower() for w in layer.weights}
        read = {id(weight) for weight in self.model.weights}
        return [w for key, w in norms.items() if key in read and depths[w.path] >= lowest]

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        own = {f"{a.target.path}/{name}": variable for a in self.adapters for name, variable in a.variables.items()}
        return own | {weight.path: weight for weight in self.norms}

    @property
    def depths(self) -> Mapping[str, int]:
        return {variable.path: a.target.depth for a in self.adapters for variable in a.variables.values()}

    def _by_name(self) -> dict[str, tuple[Bottleneck, str]]:
        """Names in files -> an adapter and one of its variables."""
        modules = modules_in_files(self.backbone, [adapter.target.path for adapter in self.adapters])
        return {
            f"{module}.{_IN_FILES[name]}": (adapter, name)
            for module, adapter in zip(modules, self.adapters)
            for name in adapter.variables
        }

    def peft_config(self) -> dict[str, Any]:
        """Not one of PEFT's, which has no such adapters."""
        keys = ("style", "width", "activation", "scale", "layers")
        return {"peft_type": "KERASFT_ADAPTER", **{key: getattr(self.config, key) for key in keys}}

    def tensors(self) -> dict[str, np.ndarray]:
        own = {name: adapter.value(variable).T for name, (adapter, variable) in self._by_name().items()}
        return own | {n: keras.ops.convert_to_numpy(w) for n, w in names_in_files(self.backbone, self.norms).items()}

    def _read(self, start: Adapter) -> None:
        if start.config.get("peft_type") != "KERASFT_ADAPTER":
            raise UserError(
                f"{start.folder} is of {start.config.get('peft_type')}, not KERASFT_ADAPTER; set model.peft.method "
                "accordingly"
            )
        for key in ("style", "activation", "scale"):
            if start.config.get(key) != getattr(self.config, key):
                raise UserError(
                    f"model.peft.{key}: {getattr(self.config, key)}, but {start.folder} has {start.config.get(key)}; "
                    "set it to that"
                )
        for name, (adapter, own) in self._by_name().items():
            value, variable = start.tensors.get(name), adapter.variables[own]
            if value is None or value.T.shape != tuple(variable.shape):
                what = "nothing" if value is None else " x ".join(map(str, value.shape))
                raise UserError(
                    f"{start.folder} has {what} for {adapter.target.path} ({name}); use the preset and the "
                    "model.peft.width and layers that it was trained with"
                )
            variable.assign(value.T)
        assign_from(start, names_in_files(self.backbone, self.norms))
