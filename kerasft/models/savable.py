"""Whether everything in a model belongs to a part of it that is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import keras

from kerasft.errors import UserError

LORA = ("lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b")
FIX = "could not be saved with it; save it as a part (kerasft.models.parts.Part)"


class Saved(Protocol):
    """A part, or anything else that is saved with a model."""

    @property
    def layers(self) -> list[keras.layers.Layer]: ...

    @property
    def variables(self) -> Mapping[str, keras.Variable]: ...


@dataclass(frozen=True)
class SavableParts:
    """The layers and variables of a model as a task made it, by their ids: backbone and head save them."""

    layers: dict[int, keras.layers.Layer]
    variables: dict[int, keras.Variable]

    @classmethod
    def of(cls, model: keras.Model, backbone: keras.Model) -> SavableParts:
        variables = {id(variable): variable for variable in (*model.weights, *backbone.weights)}
        return cls({id(layer): layer for layer in _with_inner([model, backbone])}, variables)

    def check(self, model: keras.Model, backbone: keras.Model, parts: Sequence[Saved]) -> None:
        """Raises UserError for a layer or variable that was put into the model since, and that no part saves."""
        layers = self.layers.keys() | {id(layer) for part in parts for layer in _with_inner(part.layers)}
        for layer in _with_inner([model, backbone]):
            if id(layer) not in layers:
                raise UserError(f"{layer.name}: this {type(layer).__name__} was put into the model and {FIX}")
            if getattr(layer, "quantization_mode", None):
                raise UserError(f"{layer.name}: is quantized and can't be trained and saved so; leave it in float32")
        variables = self.variables.keys() | {id(variable) for part in parts for variable in variables_of(part)}
        variables |= {id(variable) for variable in _merged(backbone)}
        for variable in (*model.weights, *backbone.weights):
            if id(variable) not in variables:
                raise UserError(f"{variable.path}: this variable was put into the model and {FIX}")


def variables_of(part: Saved) -> list[keras.Variable]:
    """What a part saves, and what else is in its layers."""
    return [*part.variables.values(), *(weight for layer in part.layers for weight in layer.weights)]


def lora_layers(backbone: keras.Model) -> list[keras.layers.Layer]:
    """Layers of a backbone in which Keras' own `enable_lora` has put weights."""
    return [layer for layer in backbone._flatten_layers() if getattr(layer, "lora_enabled", False)]


def _with_inner(layers: Iterable[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """Layers and all that is in them."""
    return [inner for layer in layers for inner in layer._flatten_layers()]


def _merged(backbone: keras.Model) -> list[keras.Variable]:
    """Weights of LoRA by Keras' own `enable_lora`: saving a layer adds them to its kernel."""
    return [getattr(layer, name) for layer in lora_layers(backbone) for name in LORA if hasattr(layer, name)]
