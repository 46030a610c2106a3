"""A classification head for any KerasHub backbone: encoders by their first token, decoders by their last."""

import keras
import keras_hub
from keras import ops

HEAD = "classifier"  # the last layer's name


def build_classifier(
    backbone: keras.Model, outputs: int, pooling: str = "auto", dropout: float | None = None
) -> keras.Model:
    """Backbone -> plain Keras model that gives logits.

    Encoders get the head of BERT (Devlin et al. 2018, arXiv:1810.04805): a dense tanh layer over the
    first token, the backbone's own where it has one, then dropout and a dense layer. Decoders are read
    at their last token, without a pooler (Radford et al. 2018).

    Args:
        backbone: a KerasHub backbone with a `padding_mask` input.
        outputs: width of the logits.
        pooling: `auto`, `cls` (first token), `mean` (of all tokens) or `last`.
        dropout: rate before the last layer; None: the backbone's own.

    Returns:
        Functional model, the backbone's inputs -> (batch, outputs) float32.
    """
    inputs = backbone.input
    decoder = is_decoder(backbone)
    hidden = backbone.output  # a tensor, or BERT's pair of sequence and pooled output
    rate = getattr(backbone, "dropout", 0.0) if dropout is None else dropout
    if pooling == "auto" and isinstance(hidden, dict) and "pooled_output" in hidden:
        vector = hidden["pooled_output"]
    else:
        sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
        chosen = ("last" if decoder else "cls") if pooling == "auto" else pooling
        vector = Pooling(chosen, name="pooling")(sequence, inputs["padding_mask"])
        if pooling in ("auto", "cls") and not decoder:
            vector = keras.layers.Dropout(rate, name="pooler_dropout")(vector)
            vector = keras.layers.Dense(
                vector.shape[-1], activation="tanh", kernel_initializer=_initializer(), name="pooler"
            )(vector)
    vector = keras.layers.Dropout(rate, name="classifier_dropout")(vector)
    logits = keras.layers.Dense(outputs, kernel_initializer=_initializer(), dtype="float32", name=HEAD)(vector)
    return keras.Model(inputs, logits, name="text_classifier")


def is_decoder(backbone: keras.Model) -> bool:
    """Whether KerasHub has this family as a causal language model, so that only the last token has read all."""
    families = _subclasses(keras_hub.models.CausalLM)
    return any(isinstance(backbone, family.backbone_cls) for family in families if family.backbone_cls is not None)


@keras.saving.register_keras_serializable(package="kerasft")
class Pooling(keras.layers.Layer):
    """One vector a text from the vectors of its tokens, padding left out.

    Args:
        method: `cls`, `mean` or `last`.
    """

    def __init__(self, method: str, **kwargs):
        super().__init__(**kwargs)
        self.method = method

    def call(self, sequence, padding_mask):
        # (batch, length, hidden), (batch, length) -> (batch, hidden)
        if self.method == "cls":
            return sequence[:, 0]
        mask = ops.cast(padding_mask, sequence.dtype)
        if self.method == "last":
            # a one-hot product, not a gather: it has a cheap gradient on every device
            after = ops.concatenate([mask[:, 1:], ops.zeros_like(mask[:, :1])], axis=1)
            mask = mask * (1 - after)
            return ops.einsum("bl,blh->bh", mask, sequence)
        return ops.einsum("bl,blh->bh", mask, sequence) / ops.sum(mask, axis=1, keepdims=True)

    def get_config(self):
        return {**super().get_config(), "method": self.method}


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _subclasses(parent: type) -> set[type]:
    direct = set(parent.__subclasses__())
    return direct.union(*(_subclasses(child) for child in direct))
