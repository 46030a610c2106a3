"""What a `Generator` writes with: a model that reads what is given, then its own answer token by token, in graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf


class PrefillState(NamedTuple):
    """Rows that were read as far as they are given.

    Attributes:
        token_ids: (batch, longest) int32, what an answer follows in its row: a prompt, or a decoder's start token. A
            repetition penalty is for these, and for what is written.
        lengths: (batch,) int32, 1 or more: how many of them.
        hidden: (batch, hidden) at the last of them, for `Decoder.logits`.
        cache: what `Decoder.decode_step` needs of each row; a nest of tensors with the batch first, so that rows can be
            repeated and put in another order by `tf.gather`.
        shared: what it needs besides and never changes, such as what an encoder gave: a nest of tensors with the batch
            first, one copy for all answers that grow from a row.
    """

    token_ids: tf.Tensor
    lengths: tf.Tensor
    hidden: tf.Tensor
    cache: Any
    shared: Any = ()


class Decoder(Protocol):
    """A model with an answer's row: a prompt and its answer, or, behind an encoder, a start token and the answer.

    Attributes:
        backbone: whose layers read; for `Generator.bfloat16` and `Generator.stored` alone.
        max_length: most tokens of such a row.
    """

    backbone: keras.Model
    max_length: int

    def prompt_ids(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch, longest) int32 tokens that are answered and (batch,) int32 lengths: what a row's seed is mixed of."""
        ...

    def prefill(self, features: Mapping[str, tf.Tensor], limits: tf.Tensor) -> PrefillState:
        """Reads what is given.

        Args:
            features: those of the task's preprocessor.
            limits: (batch,) int32, 0 to max_length - 1: tokens that may follow. A row leaves, and the cache has, room
                for so many.
        """
        ...

    def decode_step(self, token_ids: tf.Tensor, positions: tf.Tensor, cache: Any, shared: Any) -> tuple[tf.Tensor, Any]:
        """Reads one more token of each row.

        Args:
            token_ids: (batch,) int32.
            positions: (batch,) int32 tokens that stand before it in its row.
            cache: of those; it may be written where it stands, so that it is of no use any more.
            shared: as begun; of as many rows, or of fewer, each of which has the same number of neighbouring rows here.

        Returns:
            (batch, hidden), and the cache with this token, in the same form and shape.
        """
        ...

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """(batch, hidden) -> (batch, vocabulary) float32."""
        ...
