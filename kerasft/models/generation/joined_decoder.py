"""Several models that write one text: the mean of their probabilities for each next token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasft.models.generation.decoder import Decoder, PrefillState
from kerasft.models.heads.joined_logits import of_classes
from kerasft.models.shapes import static_size


class JoinedDecoder:
    """Decoders of one tokenizer as a `kerasft.models.generation.decoder.Decoder`.

    Each reads what is given and every token that is written; what `logits` gives is the logarithm of the weighted mean
    of their probabilities, which is sampled, searched with beams and penalised as one model's.

    Args:
        decoders: of the members; they read the same rows.
        weights: that sum to 1.

    Attributes:
        backbone: of the first: `Generator.bfloat16` is not for joined decoders.
    """

    def __init__(self, decoders: Sequence[Decoder], weights: Sequence[float]):
        self.decoders, self.weights = list(decoders), list(weights)
        self.backbone: keras.Model = self.decoders[0].backbone
        self.max_length = min(decoder.max_length for decoder in decoders)
        self._widths: list[int] = []

    def prompt_ids(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return self.decoders[0].prompt_ids(features)

    def prefill(self, features: Mapping[str, tf.Tensor], limits: tf.Tensor) -> PrefillState:
        states = [decoder.prefill(features, limits) for decoder in self.decoders]
        self._widths = [static_size(state.hidden, 1) for state in states]
        hidden = tf.concat([state.hidden for state in states], -1)  # (batch, all hidden)
        first, caches = states[0], [state.cache for state in states]
        return PrefillState(first.token_ids, first.lengths, hidden, caches, [state.shared for state in states])

    def decode_step(self, token_ids: tf.Tensor, positions: tf.Tensor, cache: Any, shared: Any) -> tuple[tf.Tensor, Any]:
        steps = [
            decoder.decode_step(token_ids, positions, own, of_row)
            for decoder, own, of_row in zip(self.decoders, cache, shared, strict=True)
        ]
        return tf.concat([hidden for hidden, _ in steps], -1), [grown for _, grown in steps]

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        parts = tf.split(hidden, self._widths, -1)
        return of_classes([decoder.logits(part) for decoder, part in zip(self.decoders, parts)], self.weights)
