"""Transformer layers that work on rows of several texts, where the batch has a row for each.

A batch and all that stands around the transformer layers keep one text a row: embeddings, positions and segments
below, pooling, head and loss above. Before the first of them the vectors of tokens are moved together into fewer rows,
in which a token attends to those of its own text alone, and behind the last one they are moved back. A model's layers
do so while a training step is traced, no longer; `kerasft.data.batching.pack_plan` says where each text goes.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import keras
import keras_hub
import tensorflow as tf
from keras_hub.src.models.deberta_v3.disentangled_attention_encoder import DisentangledAttentionEncoder

from kerasft.data.batching.pack_plan import OFFSET, ROW, RowShape
from kerasft.errors import UserError
from kerasft.models.layer_classes import PARTS, Form, as_classes, has_part
from kerasft.training.layers.packed_rows import PackedRows

ATTENTION = "_self_attention_layer"  # a part of each transformer layer
_traced = threading.local()  # `current`: a _Pass; replicas are traced in threads of their own, which take turns


class PackedLayers:
    """The transformer layers of a model, which take several texts a row where a batch says so.

    Args:
        model: features -> logits.
        shape: of the rows, for devices that compile each shape; None: as the texts of a batch need.

    Raises:
        UserError: the model has layers that can't, or whose tokens know of each other by more than attention.
    """

    def __init__(self, model: keras.Model, shape: RowShape | None = None):
        self.calls, self.shape = _calls(model), shape

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """The layers can take packed rows inside."""
        layers = {id(layer): layer for layer in self.calls}.values()
        with as_classes([(layer, FORMS[type(layer)]) for layer in layers]):
            yield

    @contextlib.contextmanager
    def rows_of(self, features: Mapping[str, tf.Tensor]) -> Iterator[dict[str, tf.Tensor]]:
        """The model runs on the rows that a batch has been packed into, inside; gives the features it is called with.

        Args:
            features: of a batch, with ROW and OFFSET.
        """
        mask = features["padding_mask"]
        mask = tf.reshape(mask, [-1, tf.shape(mask)[-1]]) if mask.shape.rank > 2 else mask
        row, offset = (tf.reshape(features[name], [-1]) for name in (ROW, OFFSET))
        _traced.current = _Pass(PackedRows(row, offset, mask, self.shape), self.calls)
        try:
            yield {name: value for name, value in features.items() if name not in (ROW, OFFSET)}
        finally:
            _traced.current = None


@contextlib.contextmanager
def another_pass() -> Iterator[None]:
    """The model runs once more on the rows of `rows_of` inside; where there are none, nothing changes."""
    before = _running()
    if before is not None:
        _traced.current = _Pass(before.rows, before.calls)
    try:
        yield
    finally:
        _traced.current = before


def call_again(layer: keras.layers.Layer) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Gives contexts in which a layer's next call is the one that it is about to make now, of the same pass.

    For a layer that is computed again on the way back, when another pass may have begun.
    """
    found = _running()
    if found is None:
        return contextlib.nullcontext
    return functools.partial(_replayed, found, layer, found.call_counts[id(layer)])


@contextlib.contextmanager
def _replayed(found: _Pass, layer: keras.layers.Layer, turn: int) -> Iterator[None]:
    before, seen = _running(), found.call_counts[id(layer)]
    _traced.current, found.call_counts[id(layer)] = found, turn
    try:
        yield
    finally:
        _traced.current, found.call_counts[id(layer)] = before, seen


class _Pass:
    """One pass through a model: which of its calls of a transformer layer is the first, which the last."""

    def __init__(self, rows: PackedRows, calls: list[keras.layers.Layer]):
        self.rows, self.calls, self.call_counts = rows, calls, Counter()

    def enter(self, layer: keras.layers.Layer, vectors: tf.Tensor) -> tuple[int, tf.Tensor]:
        """Which call this is, and what the layer reads: packed by the first call."""
        turn = [turn for turn, called in enumerate(self.calls) if called is layer][self.call_counts[id(layer)]]
        self.call_counts[id(layer)] += 1
        return turn, self.rows.pack(vectors) if turn == 0 else vectors

    def leave(self, turn: int, vectors: tf.Tensor) -> tf.Tensor:
        """What the model gets of a call's result: unpacked after the last call."""
        return self.rows.unpack(vectors) if turn == len(self.calls) - 1 else vectors


def _running() -> _Pass | None:
    return getattr(_traced, "current", None)


class _Encoder(Form, keras_hub.layers.TransformerEncoder):
    """Of BERT and its kin."""

    def call(self, inputs, padding_mask=None, attention_mask=None, training=None, return_attention_scores=False):
        packed = _running()
        if packed is None:
            return super().call(inputs, padding_mask, attention_mask, training, return_attention_scores)
        turn, vectors = packed.enter(self, inputs)
        vectors = super().call(vectors, attention_mask=packed.rows.attention_mask, training=training)
        return packed.leave(turn, vectors)


class _Decoder(Form, keras_hub.layers.TransformerDecoder):
    """Of GPT-2; the causal mask of a row is that of each text in it, too."""

    def call(
        self,
        decoder_sequence,
        encoder_sequence=None,
        decoder_padding_mask=None,
        decoder_attention_mask=None,
        encoder_padding_mask=None,
        encoder_attention_mask=None,
        self_attention_cache=None,
        self_attention_cache_update_index=None,
        cross_attention_cache=None,
        cross_attention_cache_update_index=None,
        use_causal_mask=True,
        training=None,
    ):
        packed = _running()
        if packed is None:
            return super().call(
                decoder_sequence,
                encoder_sequence,
                decoder_padding_mask,
                decoder_attention_mask,
                encoder_padding_mask,
                encoder_attention_mask,
                self_attention_cache,
                self_attention_cache_update_index,
                cross_attention_cache,
                cross_attention_cache_update_index,
                use_causal_mask,
                training,
            )
        turn, vectors = packed.enter(self, decoder_sequence)
        vectors = super().call(vectors, decoder_attention_mask=packed.rows.attention_mask, training=training)
        return packed.leave(turn, vectors)


class _DisentangledEncoder(Form, DisentangledAttentionEncoder):
    """Of DeBERTa: two tokens of a text are as far apart in a row as they were before."""

    def call(self, inputs, rel_embeddings, padding_mask=None, attention_mask=None):
        packed = _running()
        if packed is None:
            return super().call(inputs, rel_embeddings, padding_mask, attention_mask)
        turn, vectors = packed.enter(self, inputs)
        distances = tf.repeat(rel_embeddings[:1], tf.shape(vectors)[0], axis=0)  # alike for every row
        return packed.leave(turn, super().call(vectors, distances, attention_mask=packed.rows.attention_mask))


# A layer belongs here if its tokens know of each other through attention alone, and of their places through their
# vectors or through their distances.
FORMS: dict[type[keras.layers.Layer], type[keras.layers.Layer]] = {
    keras_hub.layers.TransformerEncoder: _Encoder,
    keras_hub.layers.TransformerDecoder: _Decoder,
    DisentangledAttentionEncoder: _DisentangledEncoder,
}


def _attends(layer: keras.layers.Layer) -> bool:
    """Whether tokens know of each other through KerasHub's own attention: what else stands in its place may mix them.

    Other parts work token by token, and may be wrapped or have adapters.
    """
    return has_part(layer, ATTENTION, PARTS[type(layer)][ATTENTION])


def _calls(model: keras.Model) -> list[keras.layers.Layer]:
    """The transformer layers in the order that the model calls them; ALBERT calls the same one again and again."""
    for part in [model, *model._flatten_layers()]:
        by_depth = getattr(part, "_nodes_by_depth", {})  # of a functional model
        nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
        nodes = [node for node in nodes if type(node.operation) in FORMS and _attends(node.operation)]
        # A decoder that reads what an encoder gives takes two texts, whose rows would have to be the same.
        crossed = any(getattr(node.operation, "_cross_attention_layer", None) is not None for node in nodes)
        if nodes and not crossed and all(before in after.parent_nodes for before, after in zip(nodes, nodes[1:])):
            return [node.operation for node in nodes]
    kinds = sorted({type(layer).__name__ for layer in model._flatten_layers() if "Transformer" in type(layer).__name__})
    description = f" (it has {', '.join(kinds)})" if kinds else ""
    raise UserError(
        f"data.batching: pack does not know the transformer layers of this model{description}; use bucket, or pad on "
        "a TPU"
    )
