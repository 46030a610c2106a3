"""One vector a text, from those of its tokens."""

import keras
from keras import ops


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
