"""A classification head for any KerasHub backbone: encoders by their first token, decoders by their last."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from kerasft.models.families import is_decoder
from kerasft.models.heads.pooling import Pooling
from kerasft.models.presets.layer_settings import hidden_dropout

HEAD = "classifier"  # the last layer's name
RANDOM_FEATURES = "random_features"  # of the layer before it, where there are some


def build_classifier(
    backbone: keras.Model,
    outputs: int,
    pooling: str = "auto",
    dropout: float | None = None,
    features: RandomFeatures | None = None,
) -> keras.Model:
    """Backbone -> plain Keras model that gives logits.

    Encoders get the head of BERT (Devlin et al. 2018, arXiv:1810.04805): a dense tanh layer over the
    first token, the backbone's own where it has one, then dropout and a dense layer. Decoders are read
    at their last token, without a pooler (Radford et al. 2018).

    Args:
        backbone: a KerasHub backbone with a `padding_mask` input.
        outputs: width of the logits.
        pooling: `auto`, `cls` (first token), `mean` (of all tokens), `last`, or `unit` (the mean, of length 1).
        dropout: rate before the last layer; None: the backbone's own.
        features: that the last layer reads instead of the vector itself; None: there are none. With them neither a
            dense layer nor dropout stands between, so that they are a function of the text and the backbone.

    Returns:
        Functional model, the backbone's inputs -> (batch, outputs) float32.
    """
    inputs = backbone.input
    decoder = is_decoder(backbone)
    hidden = backbone.output  # a tensor, or BERT's pair of sequence and pooled output
    rate = hidden_dropout(backbone) if dropout is None else dropout
    if pooling == "auto" and isinstance(hidden, dict) and "pooled_output" in hidden:
        vector = hidden["pooled_output"]
    else:
        sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
        kind = {"auto": "last" if decoder else "cls", "unit": "mean"}.get(pooling, pooling)
        vector = Pooling(kind, name="pooling")(sequence, inputs["padding_mask"])
        if pooling == "unit":
            vector = keras.layers.UnitNormalization(dtype="float32", name="unit")(vector)
        if pooling in ("auto", "cls") and not decoder and features is None:
            vector = keras.layers.Dropout(rate, name="pooler_dropout")(vector)
            vector = keras.layers.Dense(
                vector.shape[-1], activation="tanh", kernel_initializer=_initializer(), name="pooler"
            )(vector)
    if features is None:
        vector = keras.layers.Dropout(rate, name="classifier_dropout")(vector)
    else:
        vector = features(vector)
    logits = keras.layers.Dense(outputs, kernel_initializer=_initializer(), dtype="float32", name=HEAD)(vector)
    return keras.Model(inputs, logits, name="text_classifier")


@dataclass(frozen=True)
class RandomFeatures:
    """Products of a unit vector with random ones, rectified: what a ridge regression needs to be as good as training.

    RanPAC, McDonnell et al. 2023 (arXiv:2307.02251). They are drawn once, saved with the head and never trained.

    Attributes:
        count: of the features.
        seed: they are drawn by.
    """

    count: int
    seed: int

    def __call__(self, vector: keras.KerasTensor) -> keras.KerasTensor:
        """(batch, hidden) -> (batch, count), none below 0."""
        unit = keras.layers.UnitNormalization(name="unit_vector", dtype="float32")(vector)
        return keras.layers.Dense(
            self.count,
            activation="relu",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
            trainable=False,
            dtype="float32",
            name=RANDOM_FEATURES,
        )(unit)


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=0.02)
