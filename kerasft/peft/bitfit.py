"""BitFit: the biases alone train (Ben Zaken et al. 2021, arXiv:2106.10199)."""

from __future__ import annotations

import keras

from kerasft.peft.inside import Inside


class Bitfit(Inside):
    """`model.peft.method: bitfit`: biases of linear layers and offsets of normalisation."""

    name = "bitfit"

    def chosen(self) -> list[keras.Variable]:
        return [weight for weight in self.backbone.weights if weight.path.rsplit("/", 1)[-1] in ("bias", "beta")]
