"""Methods that train some of the backbone's own weights, and put nothing in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kerasft.errors import UserError
from kerasft.models.blocks import layer_depths
from kerasft.peft.base import Method
from kerasft.peft.targets import first_depth


class Inside(Method):
    """A method that trains the weights that `chosen` says, in the layers of `model.peft.layers`."""

    def __init__(self, config: Any, model: keras.Model, backbone: keras.Model, seed: int):
        super().__init__(config, model, backbone, seed)
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

    def chosen(self) -> list[keras.Variable]:
        """Weights of the backbone that may train."""
        raise NotImplementedError

    @property
    def layers(self) -> list[keras.layers.Layer]:
        return []

    @property
    def variables(self) -> Mapping[str, keras.Variable]:
        return {weight.path: weight for weight in self.trained}
