"""Texts -> what an encoder with a decoder reads, and outputs token by token with what is to be said next."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.errors import UserError
from kerasft.models.preprocessing.layout import EncoderDecoderLayout, encoder_decoder_layout
from kerasft.models.preprocessing.preprocessor import TextPreprocessor
from kerasft.models.preprocessing.prompt_preprocessor import Join
from kerasft.models.preprocessing.token_offsets import TokenOffsets
from kerasft.models.tokenizers.detokenizer import Detokenizer
from kerasft.models.tokenizers.encoder import clean, token_encoder
from kerasft.models.tokenizers.vocabulary import check_vocabulary


class Seq2SeqPreprocessor(tf.Module):
    """The one object that turns strings into tokens, in training and in the SavedModel.

    Args:
        plain: the preprocessor of inputs.
        layout: the special tokens of the family.
        detokenizer: of the tokenizer.
        inputs: the string columns.
        join: in graph: those columns -> (batch,) inputs.
        max_output_length: tokens that the decoder reads.

    Attributes:
        plain, inputs, max_output_length: as above.
        max_length: tokens that the encoder reads.
        pad_values: `token_ids` and `padding_mask` -> their value at a position without a token, on either side.
        begin: (1 or 2,) ids that the decoder reads before an output's first token.
        end: id of the token behind an output.
        detokenizer: as above.
        token_bytes: (vocabulary,) how many bytes each token spells.
        opening_bytes: how many of them, of the first token of a text, are none of it.
    """

    def __init__(
        self,
        plain: TextPreprocessor,
        layout: EncoderDecoderLayout,
        detokenizer: Detokenizer,
        inputs: tuple[str, ...],
        join: Join,
        max_output_length: int,
    ):
        super().__init__(name="seq2seq_preprocessor")
        self.plain, self.inputs, self._join, self.detokenizer = plain, inputs, join, detokenizer
        self.max_length, self.max_output_length = plain.max_length, max_output_length
        self.encoder, self.pad_values = plain.encoder, plain.pad_values
        self.begin, self.end = np.array(layout.decoder_begin, np.int32), layout.encoder.end[0]
        self.token_bytes = np.array([len(spelling) for spelling in detokenizer.token_bytes])
        self.opening_bytes = int(detokenizer.opening is not None)

    def tokens(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch,) strings -> (all tokens,) int32 ids of all texts, (batch,) int64 counts."""
        ids = self.encoder(clean(text))
        return ids.flat_values, ids.row_lengths()

    def taught(self, ids: np.ndarray) -> tuple[np.ndarray, int]:
        """Ids of an output -> (tokens, 2) what is read and what is to be said next, and how many there would be.

        What the decoder begins with is given, and not said. An output that is too long loses its last tokens, with
        the token that ends it.
        """
        whole = np.concatenate([self.begin, ids, [self.end]])
        targets = np.where(np.arange(len(whole)) < len(self.begin), NO_TARGET, whole)
        return np.stack([whole[:-1], targets[1:]], axis=1)[: self.max_output_length], len(whole) - 1

    def measured(self, columns: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Strings -> `token_ids` and `padding_mask` of inputs, and their lengths before truncation."""
        return self.plain.measured({"text": self._join(columns)})

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `StringPreprocessor.token_offsets`, of the encoder's tokens; `texts` are the joined inputs."""
        return self.plain.token_offsets({"text": self._join(columns)})

    @tf.autograph.experimental.do_not_convert
    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Strings -> `encoder_token_ids` and `encoder_padding_mask`, (batch, longest) int32.

        Args:
            columns: name -> (batch,) strings of any bytes, for each name in `inputs`.
        """
        return {f"encoder_{name}": values for name, values in self.measured(columns)[0].items()}


def seq2seq_preprocessor(
    backbone: keras.Model,
    tokenizer: keras_hub.tokenizers.Tokenizer,
    max_length: int,
    max_output_length: int,
    inputs: tuple[str, ...],
    join: Join,
) -> Seq2SeqPreprocessor:
    """Builds the preprocessor of a backbone; arguments are those of its class.

    Raises:
        UserError: the backbone has no encoder and decoder that are known here, has fewer positions, or has a tokenizer
            whose tokens are not written here.
    """
    check_vocabulary(backbone, tokenizer)
    layout = encoder_decoder_layout(backbone, tokenizer)
    limit = getattr(backbone, "max_sequence_length", None)
    for key, value in (("model.max_length", max_length), ("task.max_output_length", max_output_length)):
        if limit is not None and value > limit:
            raise UserError(
                f"{key}: {value} is more than the {limit} positions of this {type(backbone).__name__}; "
                f"use {limit} or less"
            )
    plain = TextPreprocessor(
        token_encoder(tokenizer), layout.encoder, ("token_ids", "padding_mask"), max_length, ("text",)
    )
    detokenizer = Detokenizer(tokenizer, backbone.token_embedding.input_dim)
    return Seq2SeqPreprocessor(plain, layout, detokenizer, inputs, join, max_output_length)
