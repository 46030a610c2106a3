"""Methods that train some of the backbone's own weights, and put nothing in."""

from __future__ import annotations

import abc
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasft.errors import UserError
from kerasft.models.blocks import layer_depths
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.base import Method
from kerasft.peft.module_names import known_names
from kerasft.peft.targets import first_depth

_KINDS = {"bias": "bias", "beta": "bias"}  # ours -> PyTorch's; everything else is a weight there


def _numbered(paths: Sequence[str]) -> list[str]:
    """Paths with dots, in which numbers that Keras gave by what else was made count from the first of a parent."""
    siblings: dict[tuple[str, str], list[str]] = {}
    found = []
    for path in paths:
        parent, _, last = path.rpartition("/")
        kind = re.sub(r"_[0-9]+$", "", last) if parent else last
        alike = siblings.setdefault((parent, kind), [])
        alike += [] if path in alike else [path]
        place = alike.index(path)
        found.append(f"{parent}/{kind}_{place}" if place else f"{parent}/{kind}")
    return [name.lstrip("/").replace("/", ".") for name in found]


def modules_in_files(backbone: keras.Model, paths: Sequence[str]) -> list[str]:
    """Names of layers in files: those of PEFT where they are known, our own elsewhere."""
    known = known_names(backbone, paths)
    return [known.get(path, own) for path, own in zip(paths, _numbered(paths))]


def names_in_files(backbone: keras.Model, weights: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    """A backbone's own weights by their names in files."""
    modules = modules_in_files(backbone, [weight.path.rsplit("/", 1)[0] for weight in weights])
    kinds = (_KINDS.get(weight.path.rsplit("/", 1)[-1], "weight") for weight in weights)
    return {f"{module}.{kind}": weight for module, kind, weight in zip(modules, kinds, weights)}


def assign_from(start: Adapter, named: Mapping[str, keras.Variable]) -> None:
    """Gives weights the values that an adapter has by these names.

    Raises:
        UserError: it has none, or of another size.
    """
    for name, weight in named.items():
        value = start.tensors.get(name)
        if value is None or value.size != math.prod(weight.shape):
            what = "nothing" if value is None else f"{value.size} numbers"
            raise UserError(
                f"{start.folder} has {what} for {weight.path} ({name}); use the preset and the model.peft.layers "
                "that it was trained with"
            )
        weight.assign(value.reshape(weight.shape))


class Inside(Method):
    """A method that trains the weights that `chosen` says, in the layers of `model.peft.layers`."""

    def __init__(self, config: Any, model: keras.Model, backbone: keras.Model, seed: int, start=None):
        super().__init__(config, model, backbone, seed, start)
        depths, first = layer_depths(backbone), first_depth(backbone, config.layers)
        weights = {id(weight) for weight in self.chosen()} & {id(weight) for weight in model.weights}
        self.trained = [weight for weight in backbone.weights if id(weight) in weights]
        if config.layers != "all":
            self.trained = [weight for weight in self.trained if depths[weight.path] >= first]
        if not self.trained:
            raise UserError(
                f"model.peft.method: {config.method} finds nothing to train in this {type(backbone).__name__}; use lora"
            )
        for weight in self.trained:
            weight.trainable = True
        if start is not None:
            self._read(start)

    @abc.abstractmethod
    def chosen(self) -> list[keras.Variable]:
        """Weights of the backbone that may train."""

    def _read(self, start: Adapter) -> None:
        if start.config.get("peft_type") != self.peft_type:
            raise UserError(
                f"{start.folder} is of {start.config.get('peft_type')}, not {self.peft_type}; set model.peft.method "
                "accordingly"
            )
        assign_from(start, self._by_name())

    def _by_name(self) -> dict[str, keras.Variable]:
        return names_in_files(self.backbone, self.trained)

    def peft_config(self) -> dict[str, Any]:
        return {"peft_type": self.peft_type, "layers": self.config.layers, "inference_mode": True}

    def tensors(self) -> dict[str, np.ndarray]:
        return {name: keras.ops.convert_to_numpy(weight).reshape(-1) for name, weight in self._by_name().items()}

    @property
    def peft_type(self) -> str:
        """Not one of PEFT's: these are its LN_TUNING and biases of LoRA in part, and it would take them for less."""
        return f"KERASFT_{self.name.upper()}"

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        return {weight.path: weight for weight in self.trained}
