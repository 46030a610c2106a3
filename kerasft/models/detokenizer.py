"""Token ids -> text, in graph and outside: the bytes of each token, joined, and made valid UTF-8."""

from __future__ import annotations

from collections.abc import Iterable

import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.byte_pair import token_bytes
from kerasft.models.tokenization import clean

NO_TOKEN = -1  # fills rows of ids up; its text is empty


class Detokenizer:
    """What writing texts needs of a tokenizer.

    Args:
        tokenizer: byte-level BPE, such as GPT-2's or Llama 3's.
        width: rows of the embedding table, which may be more than the vocabulary has tokens.

    Attributes:
        spelt: (width,) bytes of each token; none of a special token and beyond the vocabulary.
        ordinary: (width,) bool, tokens that are text.
        special: (width,) bool, tokens that are none: an answer ends before one.

    Raises:
        UserError: the tokenizer is of another kind.
    """

    def __init__(self, tokenizer: keras_hub.tokenizers.Tokenizer, width: int):
        if not isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer):
            raise UserError(
                f"model.preset: texts are not written with a {type(tokenizer).__name__} here; use a decoder with "
                "byte-level BPE, such as GPT-2 or Llama 3"
            )
        special = {*tokenizer.special_tokens, *(tokenizer.unsplittable_tokens or [])}
        self.spelt = [b""] * width
        self.ordinary, self.special = np.zeros(width, bool), np.zeros(width, bool)
        for token, number in dict(tokenizer.vocabulary).items():
            if token in special:
                self.special[number] = True
            else:
                known = token_bytes(token)
                self.spelt[number] = token.encode("utf-8") if known is None else known
                self.ordinary[number] = True

    def text(self, ids: Iterable[int]) -> str:
        """Ids, NO_TOKEN among them or not, as one text; what is no UTF-8 becomes U+FFFD."""
        return b"".join(self.spelt[number] for number in ids if number >= 0).decode("utf-8", "replace")

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """In graph: (batch, tokens) ids, or NO_TOKEN -> (batch,) valid UTF-8."""
        pieces = tf.gather(tf.constant(self.spelt), tf.maximum(ids, 0))
        return clean(tf.strings.reduce_join(tf.where(ids >= 0, pieces, b""), axis=1))
