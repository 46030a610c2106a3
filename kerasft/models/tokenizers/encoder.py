"""Texts -> token ids in graph, for any KerasHub tokenizer, as the Hugging Face tokenizer of the same model has them.

KerasHub's tokenizers keep the vocabulary and the settings. For WordPiece and byte-level BPE the ids are made here
(`wordpiece.py`, `byte_pair.py`), because KerasHub's differ on white space, accents and special tokens, differ
between its eager and its graph form, and keep a table that grows. SentencePiece is KerasHub's own, or for models that
write on from a text TensorFlow Text's (`sentence_piece.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import keras_hub
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.tokenizers.byte_pair import BytePairEncoder
from kerasft.models.tokenizers.digest import tokenizer_digest
from kerasft.models.tokenizers.offsets import Pieces
from kerasft.models.tokenizers.sentence_piece import RunningTextEncoder, SentencePieceEncoder
from kerasft.models.tokenizers.traced import Kept
from kerasft.models.tokenizers.wordpiece import WordPieceEncoder

Encoder = Callable[[tf.Tensor], tf.RaggedTensor]
_encoders = Kept(most=8)


@runtime_checkable
class _WithPieces(Protocol):
    def pieces(self, text: tf.Tensor) -> Pieces: ...


_ENCODERS: tuple[tuple[type, Callable[..., Encoder]], ...] = (
    (keras_hub.tokenizers.WordPieceTokenizer, WordPieceEncoder),
    (keras_hub.tokenizers.BytePairTokenizer, BytePairEncoder),
    (keras_hub.tokenizers.SentencePieceTokenizer, SentencePieceEncoder),
)


def token_encoder(tokenizer: keras_hub.tokenizers.Tokenizer) -> Encoder:
    """Returns the in-graph encoder for a tokenizer, a `tf.Module`: (batch,) valid UTF-8 -> (batch, tokens) int32.

    It has no state that changes, and no text fails it. So tokenizers that are
    alike share one, with its graph: a process that trains many runs of one preset traces it once.

    Raises:
        UserError: the tokenizer is none of WordPiece, byte-level BPE and SentencePiece.
    """
    for family, encoder in _ENCODERS:
        if isinstance(tokenizer, family):
            return _encoders.get((encoder, tokenizer_digest(tokenizer)), functools.partial(_made, encoder, tokenizer))
    names = ", ".join(family.__name__ for family, _ in _ENCODERS)
    raise UserError(
        f"model.preset: its tokenizer is a {type(tokenizer).__name__}, which does not run in a served graph; "
        f"use a model whose tokenizer is one of {names}"
    )


def _made(encoder: Callable[..., Encoder], tokenizer: keras_hub.tokenizers.Tokenizer) -> Encoder:
    with tf.init_scope():  # whoever builds a graph now, its tables outlive that graph
        return encoder(tokenizer)


def running_text_encoder(tokenizer: keras_hub.tokenizers.Tokenizer, plain: Encoder) -> Encoder:
    """Returns the encoder for texts that are written on; its `behind`, where it has one, is for what follows a text.

    Args:
        tokenizer: of any kind.
        plain: its encoder.

    Raises:
        UserError: see `RunningTextEncoder`.
    """
    if isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer):
        return RunningTextEncoder(tokenizer)
    return plain


def piece_encoder(encoder: Encoder) -> Callable[[tf.Tensor], Pieces]:
    """Returns the form of an encoder that also tells where tokens come from: (batch,) valid UTF-8 -> Pieces.

    Raises:
        UserError: it is SentencePiece's, which is KerasHub's own and tells no offsets.
    """
    if not isinstance(encoder, _WithPieces):
        raise UserError(
            "model.preset: its tokenizer is SentencePiece, which gives no character offsets here; "
            "this task needs a model with WordPiece or byte-level BPE, such as BERT or RoBERTa"
        )
    return encoder.pieces


def clean(text: tf.Tensor) -> tf.Tensor:
    """(batch,) any bytes -> (batch,) valid UTF-8, with U+FFFD where there was none.

    Offsets into a text that was not valid count the replacement characters, as in `bytes.decode(errors="replace")`.
    """
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
