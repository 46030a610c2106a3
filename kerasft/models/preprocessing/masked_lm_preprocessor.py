"""Texts -> what a masked language model reads: tokens to be packed into rows, and in a server where to fill in."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import keras_hub
import tensorflow as tf

from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.preprocessing.token_offsets import TokenOffsets
from kerasft.models.tokenizers.encoder import clean, piece_encoder
from kerasft.models.tokenizers.traced import kept_trace
from kerasft.models.tokenizers.vocabulary import Vocabulary


class MaskedLMPreprocessor(tf.Module):
    """The one object that turns strings into tokens, in training and in the SavedModel.

    Args:
        plain: the preprocessor of texts that are cut.
        vocabulary: of its tokenizer.

    Attributes:
        inputs: `("text",)`.
        max_length: tokens of a row, special tokens included.
        pad_values: feature of the backbone -> its value at a position without a token.
        layout: special tokens of a row.
        vocabulary: as above.
    """

    def __init__(self, plain: TextPreprocessor, vocabulary: Vocabulary):
        super().__init__(name="masked_lm_preprocessor")
        self.inputs, self.max_length, self.pad_values = plain.inputs, plain.max_length, plain.pad_values
        self.layout, self.vocabulary = plain.layout, vocabulary
        self.plain, self.encoder = plain, plain.encoder
        self._pieces = piece_encoder(plain.encoder)

    def tokens(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """(batch,) strings -> (tokens,) ids of all texts, (tokens,) whether each opens a word, (batch,) counts."""
        if not tf.executing_eagerly():
            return self._tokens(text)
        return kept_trace((type(self), self.encoder), self._tokens)(text)

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `StringPreprocessor.token_offsets`; a mask token has the offsets of its spelling."""
        return self.plain.token_offsets(columns)

    def _tokens(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        pieces = self._pieces(clean(text))
        return pieces.ids.flat_values, pieces.opens_word, pieces.ids.row_lengths()

    @tf.autograph.experimental.do_not_convert
    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Strings that hold mask tokens -> features, eagerly or in graph; a text is cut to `max_length` tokens.

        Args:
            columns: {"text": (batch,) strings of any bytes}.

        Returns:
            The backbone's inputs, each (batch, longest) int32; `mask_positions` (batch, masks) int32 of the mask
            tokens, 0 where there are no more; `masks` (batch,) int64 how many; `texts` (batch,) as valid UTF-8.
        """
        features = self.plain(columns)
        where = tf.where(features["token_ids"] == self.vocabulary.mask_id)  # (all masks, 2)
        rows = tf.shape(features["token_ids"], tf.int64)[0]
        positions = tf.RaggedTensor.from_value_rowids(tf.cast(where[:, 1], tf.int32), where[:, 0], rows, validate=False)
        return {
            **features,
            "mask_positions": positions.to_tensor(0),
            "masks": positions.row_lengths(),
            "texts": clean(tf.convert_to_tensor(columns["text"], tf.string)),
        }


def masked_lm_preprocessor(
    backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer, max_length: int
) -> MaskedLMPreprocessor:
    """Builds the preprocessor of a backbone; arguments and errors of `text_preprocessor` and `Vocabulary`."""
    vocabulary = Vocabulary(tokenizer)
    return MaskedLMPreprocessor(text_preprocessor(backbone, tokenizer, max_length), vocabulary)
