"""The one place where a step changes token embeddings: something is added to what the layer gives.

Tables stay as they are, so that nothing has to be put back, and rows that are deferred are read as ever. What is added
is a tensor of the graph; its gradient is that of the vectors.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence

import keras
import keras_hub
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.layer_classes import Form, as_classes, own_class

NAME = "token_embedding"  # of the layer, in every backbone of KerasHub (0.25 to 0.32)
KINDS = (keras.layers.Embedding, keras.layers.ReversibleEmbedding, keras_hub.layers.ReversibleEmbedding)
_traced = threading.local()  # `vectors`: what is added now; replicas are traced in threads of their own


class TokenEmbeddings:
    """The layer of a model that looks up the vectors of tokens.

    Args:
        model: features -> logits, with `token_ids` and `padding_mask` (batch, length).
        key: what the user asked for that needs the layer.
        fix: what to do instead.

    Raises:
        UserError: the model has no such layer, or several.
    """

    def __init__(self, model: keras.Model, key: str = "training.objective", fix: str = "take rdrop, or null"):
        parts = {id(layer): layer for layer in model._flatten_layers()}.values()
        found = [layer for layer in parts if layer.name == NAME and own_class(layer) in KINDS]
        if len(found) != 1:
            raise UserError(
                f"{key}: this model has {len(found)} layers {NAME!r} as KerasHub makes them, and their vectors are "
                f"what is changed; {fix}"
            )
        self.layer = found[0]

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """The layer takes what `added` gives inside, whichever form it has."""
        kind = type(self.layer)
        with as_classes([(self.layer, type(kind.__name__, (_Perturbed, kind), {}))]):
            yield

    def shape(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Of the vectors of a batch: batch, length, width."""
        return tf.concat([tf.shape(inputs["token_ids"]), [self.layer.output_dim]], 0)


@contextlib.contextmanager
def added(vectors: tf.Tensor | Sequence[tuple[tf.Tensor, tf.Tensor]]) -> Iterator[None]:
    """(batch, length, width) float32 is added to the vectors of tokens inside.

    Args:
        vectors: what is added; of a model that looks up several inputs, (token ids, what is added to theirs) of each,
            where the ids are the very tensors that the model is called with.
    """
    before, _traced.vectors = getattr(_traced, "vectors", None), vectors
    try:
        yield
    finally:
        _traced.vectors = before


class _Perturbed(Form, keras.layers.Layer):
    """Before the class of an embedding layer."""

    adapted = True

    def call(self, inputs, *args, **kwargs):
        found, more = super().call(inputs, *args, **kwargs), getattr(_traced, "vectors", None)
        if more is None or args or kwargs.get("reverse"):  # as an output layer it is what it was
            return found
        if isinstance(more, Sequence):
            more = next(vectors for ids, vectors in more if ids is inputs)  # StopIteration: Keras made a copy of them
        return found + tf.cast(more, found.dtype)
