"""The last transformer layer of a model that reads the first token of a text alone computes that token alone.

Its attention still reads every token, so that what the model gives and its gradients stay the same; the feed-forward
part, which is two thirds of a layer, and the queries of all other tokens are left out.
"""

from __future__ import annotations

import keras
import keras_hub
from keras.src.ops.numpy import GetItem
from keras_hub.src.layers.modeling.transformer_layer_utils import merge_padding_and_attention_mask

from kerasft.models.heads.pooling import Pooling
from kerasft.models.layer_classes import Form, as_made


def last_layer_of_first_token(model: keras.Model) -> list[keras.layers.Layer]:
    """The layer all of whose readers take the first token; none where it is not as KerasHub made it."""
    nodes = [node for nodes in getattr(model, "_nodes_by_depth", {}).values() for node in nodes]
    outputs = {id(tensor) for tensor in getattr(model, "outputs", ())}
    layers = []
    for node in nodes:
        readers = [reader for reader in nodes if node in reader.parent_nodes]
        inner = readers and not outputs & {id(tensor) for tensor in node.outputs}
        if type(node.operation) is keras_hub.layers.TransformerEncoder and inner and all(map(_reads_first, readers)):
            layers.append(node.operation)
    shared = any(len(layer._inbound_nodes) > 1 for layer in layers)  # ALBERT calls one layer again and again
    return [] if shared else [layer for layer in layers if as_made(layer)]


def _reads_first(node) -> bool:
    operation = node.operation
    if isinstance(operation, GetItem):
        key = node.arguments.args[1]
        return isinstance(key, tuple) and key[:2] == (slice(None), 0)
    return isinstance(operation, Pooling) and operation.method == "cls"


class FirstTokenEncoder(Form, keras_hub.layers.TransformerEncoder):
    """(batch, length, hidden) -> (batch, 1, hidden)."""

    def call(self, inputs, padding_mask=None, attention_mask=None, training=None, return_attention_scores=False):
        if return_attention_scores:
            return super().call(inputs, padding_mask, attention_mask, training, return_attention_scores)
        mask = merge_padding_and_attention_mask(inputs, padding_mask, attention_mask)  # (batch, 1 or length, length)
        mask = None if mask is None else mask[:, :1]
        normed = self._self_attention_layer_norm(inputs) if self.normalize_first else inputs
        hidden = self._self_attention_layer(query=normed[:, :1], value=normed, attention_mask=mask, training=training)
        hidden = self._self_attention_dropout(hidden, training=training) + inputs[:, :1]
        if not self.normalize_first:
            hidden = self._self_attention_layer_norm(hidden)
        inner = self._feedforward_layer_norm(hidden) if self.normalize_first else hidden
        inner = self._feedforward_output_dense(self._feedforward_intermediate_dense(inner))
        hidden = self._feedforward_dropout(inner, training=training) + hidden
        return hidden if self.normalize_first else self._feedforward_layer_norm(hidden)
