"""Tuning of normalisation alone (Zhao et al. 2023, arXiv:2312.11420)."""

from __future__ import annotations

import keras

from kerasft.peft.inside import Inside


class Layernorm(Inside):
    """`model.peft.method: layernorm`: scales and offsets of every normalisation."""

    name = "layernorm"

    def chosen(self) -> list[keras.Variable]:
        layers = {id(layer): layer for layer in self.backbone._flatten_layers()}.values()
        return [weight for layer in layers if "norm" in type(layer).__name__.lower() for weight in layer.weights]
