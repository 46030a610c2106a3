"""SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226): texts -> ids in graph, and what each piece spells."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf
from sentencepiece import sentencepiece_model_pb2
from tensorflow_text.python.ops import sentencepiece_tokenizer

from kerasft.errors import UserError
from kerasft.models.tokenizers.traced import traced_once

if TYPE_CHECKING:
    import keras_hub

SPACE = "\u2581"  # stands for a space in a piece
_UNKNOWN_SPELT = "\N{REPLACEMENT CHARACTER}".encode()
_Piece = sentencepiece_model_pb2.ModelProto.SentencePiece


class SentencePieceEncoder(tf.Module):
    """Texts -> SentencePiece ids, by KerasHub's own tokenizer.

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
        self._in_graph = traced_once(self._ids)

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """(batch,) valid UTF-8 -> (batch, tokens) int32 ids."""
        return self._in_graph(text) if tf.executing_eagerly() else self._ids(text)

    def _ids(self, text: tf.Tensor) -> tf.RaggedTensor:
        return tf.cast(self.tokenizer(text), tf.int32)  # KerasHub's gives lists outside of a graph


class RunningTextEncoder(tf.Module):
    """Texts, and parts that stand behind them -> SentencePiece ids, for models that write on from a text.

    A SentencePiece model such as Llama's puts a space before a text. Of parts that together are one text the first
    alone has it: what a model writes, and what it learns to write, begins as it stands, with a space or without one.
    Special tokens that a text spells out, such as "</s>", are found, as `tokenizers` and the byte-level encoder do.

    Args:
        tokenizer: its model is read; the copy of it that runs here has these two settings.

    Attributes:
        unknown_id: of the token that stands for what the vocabulary cannot spell.

    Raises:
        UserError: the model leaves spaces out, so that a text could not be gone on from where it ends.
    """

    def __init__(self, tokenizer: keras_hub.tokenizers.SentencePieceTokenizer):
        super().__init__(name="running_text")
        model = _model_of(tokenizer)
        if model.normalizer_spec.remove_extra_whitespaces or model.trainer_spec.treat_whitespace_as_suffix:
            setting = "remove_extra_whitespaces, and drops spaces of a text"
            if model.trainer_spec.treat_whitespace_as_suffix:
                setting = "treat_whitespace_as_suffix, with spaces behind words"
            raise UserError(
                f"model.preset: its SentencePiece model has {setting}; use one that keeps spaces "
                "before words, such as Llama's and Mistral's"
            )
        self.unknown_id = int(tokenizer.token_to_id("\N{NULL}\N{NULL}"))
        self._space = bool(model.normalizer_spec.add_dummy_prefix)
        model.normalizer_spec.add_dummy_prefix = False
        for piece in model.pieces:
            if piece.type == _Piece.CONTROL:  # SentencePiece finds in texts what is USER_DEFINED
                piece.type = _Piece.USER_DEFINED
        proto = model.SerializeToString(deterministic=True)
        self._pieces = sentencepiece_tokenizer.SentencepieceTokenizer(model=proto, out_type=tf.int32)
        self._pieces._model_resource = _LastingModel(proto, "model")

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """(batch,) valid UTF-8 -> (batch, tokens) int32 ids, those of the SentencePiece library."""
        if self._space:
            text = tf.where(tf.strings.length(text) > 0, tf.strings.join([" ", text]), text)
        return self.behind(text)

    def behind(self, text: tf.Tensor) -> tf.RaggedTensor:
        """(batch,) valid UTF-8 that stands behind other text -> (batch, tokens) int32 ids."""
        return self._pieces.tokenize(text)


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


class PieceSpelling(NamedTuple):
    """What the pieces of a model are as text.

    Attributes:
        ordinary: id -> bytes, of pieces that are text; a space stands before a word, as in `RunningTextEncoder`.
        special: token -> id, of pieces that are none.
        unknown: id -> bytes, of pieces that a text may be read as and that are never written.
        opening: a regular expression of what a text begins with that is none of it; None: nothing.
    """

    ordinary: dict[int, bytes]
    special: dict[str, int]
    unknown: dict[int, bytes]
    opening: str | None


def piece_spelling(tokenizer: keras_hub.tokenizers.SentencePieceTokenizer) -> PieceSpelling:
    """Reads the model of a tokenizer whose ids are the model's own."""
    model, spelling = _model_of(tokenizer), PieceSpelling({}, {}, {}, None)
    special = set(tokenizer.special_tokens)
    for number, piece in enumerate(model.pieces):
        if piece.type == _Piece.CONTROL or piece.piece in special:
            spelling.special[piece.piece] = number
        elif piece.type == _Piece.UNKNOWN:
            spelling.unknown[number] = _UNKNOWN_SPELT
        elif piece.type == _Piece.BYTE:
            spelling.ordinary[number] = bytes([int(piece.piece[3:5], 16)])  # <0x0A>
        elif piece.type != _Piece.UNUSED:
            spelling.ordinary[number] = piece.piece.replace(SPACE, " ").encode()
    if not model.normalizer_spec.add_dummy_prefix:
        return spelling
    return spelling._replace(opening="^ +" if model.normalizer_spec.remove_extra_whitespaces else "^ ")


def _model_of(tokenizer: keras_hub.tokenizers.SentencePieceTokenizer) -> sentencepiece_model_pb2.ModelProto:
    return sentencepiece_model_pb2.ModelProto.FromString(tokenizer.proto)
