"""Texts -> what a causal language model reads: tokens to be packed into rows, and prompts to go on from in a server."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.models.detokenizer import Detokenizer
from kerasft.models.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.tokenization import clean


class PromptPreprocessor(tf.Module):
    """The one object that turns strings into tokens, in training and in the SavedModel.

    Args:
        plain: the preprocessor of texts that are cut.
        detokenizer: of its tokenizer.

    Attributes:
        inputs: `("prompt",)`.
        max_length: tokens of a row, of a prompt and its answer together.
        pad_values: feature of the backbone -> its value at a position without a token.
        begin, end: ids of the tokens before and after a document; GPT-2 has one for both.
        detokenizer: as above.
    """

    inputs = ("prompt",)

    def __init__(self, plain: TextPreprocessor, detokenizer: Detokenizer):
        super().__init__(name="prompt_preprocessor")
        self.max_length, self.pad_values, self.detokenizer = plain.max_length, plain.pad_values, detokenizer
        self.encoder, layout = plain.encoder, plain.layout
        self.begin, self.end = int((layout.start or layout.end)[0]), int(layout.end[0])
        # GPT-2's has parted documents and never stood before a text's first words alone.
        self._prefix = tf.constant(layout.start[:1], tf.int32, shape=[len(layout.start[:1])])

    def tokens(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """In graph: (batch,) strings -> (all tokens,) int32 ids of all texts, (batch,) int64 counts."""
        ids = self.encoder(clean(text))
        return ids.flat_values, ids.row_lengths()

    def pairs(self, ids: np.ndarray) -> np.ndarray:
        """(tokens,) ids of a document -> (tokens + 1, 2) what is read and what is to be said next, its end last."""
        return np.stack([np.concatenate([[self.begin], ids]), np.concatenate([ids, [self.end]])], axis=1)

    @tf.autograph.experimental.do_not_convert
    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: prompts -> `token_ids` (batch, longest) int32 and `lengths` (batch,) int32.

        Of a prompt that leaves no room for one more token the last tokens are kept. An empty prompt is the token that
        begins a document.

        Args:
            columns: {"prompt": (batch,) strings of any bytes}.
        """
        ids = self.encoder(clean(tf.convert_to_tensor(columns["prompt"], tf.string)))
        prefix = tf.RaggedTensor.from_tensor(tf.tile(self._prefix[tf.newaxis], [tf.cast(ids.nrows(), tf.int32), 1]))
        ids = tf.concat([prefix, ids], axis=1)[:, -(self.max_length - 1) :]
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        token_ids = tf.pad(ids.to_tensor(self.begin), [[0, 0], [0, 1]], constant_values=self.begin)
        return {
            "token_ids": token_ids[:, : tf.maximum(1, tf.reduce_max(tf.concat([lengths, [0]], 0)))],
            "lengths": tf.maximum(lengths, 1),
        }


def prompt_preprocessor(
    backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer, max_length: int
) -> PromptPreprocessor:
    """Builds the preprocessor of a backbone; arguments and errors of `text_preprocessor` and `Detokenizer`."""
    detokenizer = Detokenizer(tokenizer, backbone.token_embedding.input_dim)
    return PromptPreprocessor(text_preprocessor(backbone, tokenizer, max_length), detokenizer)
