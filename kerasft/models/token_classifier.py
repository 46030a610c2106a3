"""A head that gives each token its logits, for any KerasHub encoder or decoder."""

from __future__ import annotations

import keras

from kerasft.models.crf import Chain


def build_token_classifier(
    backbone: keras.Model, outputs: int, dropout: float | None = None, crf: bool = False
) -> tuple[keras.Model, Chain | None]:
    """Backbone -> plain Keras model that gives logits for each token (Devlin et al. 2018, arXiv:1810.04805, 5.3).

    Args:
        backbone: a KerasHub backbone with `token_ids` and `padding_mask`.
        outputs: width of the logits.
        dropout: rate before the last layer; None: the backbone's own.
        crf: put a linear chain over the logits (Lample et al. 2016, arXiv:1603.01360).

    Returns:
        Functional model, the backbone's inputs -> (batch, length, outputs) float32, and the chain where there is one.
    """
    hidden = backbone.output  # a tensor, or BERT's pair of sequence and pooled output
    sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
    rate = getattr(backbone, "dropout", 0.0) if dropout is None else dropout
    sequence = keras.layers.Dropout(rate, name="classifier_dropout")(sequence)
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    dense = keras.layers.Dense(outputs, kernel_initializer=initializer, dtype="float32", name="classifier")
    logits = dense(sequence)
    chain = Chain(name="chain", dtype="float32") if crf else None
    if chain is not None:
        logits = chain(logits)
    return keras.Model(backbone.input, logits, name="token_classifier"), chain
