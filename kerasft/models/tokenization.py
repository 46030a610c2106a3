"""Texts -> token ids in graph, for any KerasHub tokenizer, as the Hugging Face tokenizer of the same model has them.

KerasHub's tokenizers keep the vocabulary and the settings. For WordPiece and byte-level BPE the ids are made here
(`wordpiece.py`, `byte_pair.py`), because KerasHub's differ on white space, accents and special tokens, differ
between its eager and its graph form, and keep a table that grows. SentencePiece is KerasHub's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import keras_hub
import tensorflow as tf
from tensorflow_text.python.ops import sentencepiece_tokenizer

from kerasft.errors import UserError
from kerasft.models.byte_pair import BytePairEncoder
from kerasft.models.pieces import Pieces
from kerasft.models.wordpiece import WordPieceEncoder

Encoder = Callable[[tf.Tensor], tf.RaggedTensor]


class SentencePieceEncoder(tf.Module):
    """Texts -> SentencePiece ids (Kudo and Richardson 2018, arXiv:1808.06226), by KerasHub's own tokenizer.

    Special tokens that a text spells out, such as "[SEP]" or "</s>", are cut like other words, where `tokenizers`
    would find them.

    Attributes:
        unknown_id: of the token that stands for what the vocabulary cannot spell.
    """

    def __init__(self, tokenizer: keras_hub.tokenizers.SentencePieceTokenizer):
        super().__init__(name="sentence_piece")
        self.tokenizer = tokenizer
        # What no vocabulary holds; SentencePiece answers with its unknown token, KerasHub with the model's own.
        self.unknown_id = int(tokenizer.token_to_id("\N{NULL}\N{NULL}"))
        # KerasHub 0.25 to 0.32 keeps TensorFlow Text's tokenizer here, and that (2.20) its model there.
        tokenizer._sentence_piece._model_resource = _LastingModel(tokenizer.proto, "model")

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """(batch,) valid UTF-8 -> (batch, tokens) int32 ids."""
        return tf.cast(self.tokenizer(text), tf.int32)


class _LastingModel(sentencepiece_tokenizer._SentencepieceModelResource):
    """A SentencePiece model that outlives TensorFlow's cache of kernels.

    TensorFlow Text gives the model to the kernel that made it, and `tf.random.set_seed` throws the kernels away:
    every tokenizer then fails with "Resource ... does not exist". A resource with a name of its own stays. The
    name is the model's hash, so that two tokenizers share a resource only where they are the same.
    """

    def _create_resource(self) -> tf.Tensor:
        return sentencepiece_tokenizer.gen_sentencepiece_tokenizer.sentencepiece_op(
            model=self._model, shared_name=f"sentencepiece_{hashlib.sha256(self._model).hexdigest()}"
        )


_ENCODERS: tuple[tuple[type, Callable[..., Encoder]], ...] = (
    (keras_hub.tokenizers.WordPieceTokenizer, WordPieceEncoder),
    (keras_hub.tokenizers.BytePairTokenizer, BytePairEncoder),
    (keras_hub.tokenizers.SentencePieceTokenizer, SentencePieceEncoder),
)


def token_encoder(tokenizer: keras_hub.tokenizers.Tokenizer) -> Encoder:
    """Returns the in-graph encoder for a tokenizer, a `tf.Module`: (batch,) valid UTF-8 -> (batch, tokens) int32.

    It is to be called in a `tf.function`. It has no state that changes, and no text fails it.

    Raises:
        UserError: the tokenizer is none of WordPiece, byte-level BPE and SentencePiece.
    """
    for family, encoder in _ENCODERS:
        if isinstance(tokenizer, family):
            return encoder(tokenizer)
    names = ", ".join(family.__name__ for family, _ in _ENCODERS)
    raise UserError(
        f"model.preset: its tokenizer is a {type(tokenizer).__name__}, which does not run in a served graph; "
        f"use a model whose tokenizer is one of {names}"
    )


def piece_encoder(encoder: Encoder) -> Callable[[tf.Tensor], Pieces]:
    """Returns the form of an encoder that also tells where tokens come from: (batch,) valid UTF-8 -> Pieces.

    Raises:
        UserError: it is SentencePiece's, which is KerasHub's own and tells no offsets.
    """
    if not hasattr(encoder, "pieces"):
        raise UserError(
            "model.preset: its tokenizer is SentencePiece, which tells no character offsets here; "
            "this task needs a model with WordPiece or byte-level BPE, such as BERT or RoBERTa"
        )
    return encoder.pieces


def clean(text: tf.Tensor) -> tf.Tensor:
    """(batch,) any bytes -> (batch,) valid UTF-8, with U+FFFD where there was none.

    Offsets into a text that was not valid count the replacement characters, as in `bytes.decode(errors="replace")`.
    """
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
