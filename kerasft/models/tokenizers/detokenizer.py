"""Token ids -> text, in graph and outside: the bytes of each token, joined, and made valid UTF-8."""

from __future__ import annotations

import re
from collections.abc import Iterable

import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.tokenizers.byte_pair import token_bytes
from kerasft.models.tokenizers.encoder import clean
from kerasft.models.tokenizers.sentence_piece import PieceSpelling, piece_spelling

NO_TOKEN = -1  # fills rows of ids up; its text is empty


class Detokenizer:
    """What writing texts needs of a tokenizer.

    Args:
        tokenizer: byte-level BPE, such as GPT-2's or Llama 3's, or SentencePiece, such as Llama 2's.
        width: rows of the embedding table, which may be more than the vocabulary has tokens.

    Attributes:
        spelt: (width,) bytes of each token; none of a special token and beyond the vocabulary.
        ordinary: (width,) bool, tokens that are text.
        special: (width,) bool, tokens that are none: an answer ends before one. A token that is neither is not written:
            one beyond the vocabulary, and the one for what a vocabulary without bytes cannot spell.
        special_tokens: their names.
        opening: a regular expression of the space that the first token of a text may spell, and that is none of the
            text; None: what tokens spell is the text. What follows a text, such as a prompt, keeps its spaces.

    Raises:
        UserError: the tokenizer is of another kind.
    """

    def __init__(self, tokenizer: keras_hub.tokenizers.Tokenizer, width: int):
        if isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer):
            spelling_of_ids = _byte_level(tokenizer)
        elif isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer):
            spelling_of_ids = piece_spelling(tokenizer)
        else:
            raise UserError(
                f"model.preset: texts are not written with a {type(tokenizer).__name__} here; use a model with "
                "byte-level BPE or SentencePiece, such as GPT-2 or Llama"
            )
        self.token_bytes = [b""] * width
        self.ordinary, self.special = np.zeros(width, bool), np.zeros(width, bool)
        self.special_tokens, self.opening = frozenset(spelling_of_ids.special), spelling_of_ids.opening
        self.special[list(spelling_of_ids.special.values())] = True
        self.ordinary[list(spelling_of_ids.ordinary)] = True
        for number, spelling in (spelling_of_ids.ordinary | spelling_of_ids.unknown).items():
            self.token_bytes[number] = spelling

    def text(self, ids: Iterable[int], opens: bool = False) -> str:
        """Ids, NO_TOKEN among them or not, as one text; what is no UTF-8 becomes U+FFFD.

        Args:
            opens: whether a text begins with the first of them, and does not go on with it.
        """
        text = b"".join(self.token_bytes[number] for number in ids if number >= 0).decode("utf-8", "replace")
        return re.sub(self.opening, "", text) if opens and self.opening else text

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """In graph: (batch, tokens) ids, or NO_TOKEN -> (batch,) valid UTF-8."""
        pieces = tf.gather(tf.constant(self.token_bytes), tf.maximum(ids, 0))
        return clean(tf.strings.reduce_join(tf.where(ids >= 0, pieces, b""), axis=1))

    def opened(self, text: tf.Tensor, prompt_ids: tf.Tensor) -> tf.Tensor:
        """In graph: what ids spell -> the text that they are.

        Args:
            text: (batch,) UTF-8 of `__call__`.
            prompt_ids: (batch, tokens) ids, or NO_TOKEN, that it follows: it opens a text where none of them is text.
        """
        if self.opening is None:
            return text
        bare = tf.strings.regex_replace(text, self.opening, "", replace_global=False)
        return tf.where(self.opens(prompt_ids), bare, text)

    def opens(self, prompt_ids: tf.Tensor) -> tf.Tensor:
        """In graph: (batch, tokens) ids, or NO_TOKEN, that a text follows -> (batch,) bool, whether none is text."""
        ordinary = tf.gather(tf.constant(self.ordinary), tf.maximum(prompt_ids, 0)) & (prompt_ids >= 0)
        return ~tf.reduce_any(ordinary, axis=1)


def _byte_level(tokenizer: keras_hub.tokenizers.BytePairTokenizer) -> PieceSpelling:
    special = {*tokenizer.special_tokens, *(tokenizer.unsplittable_tokens or [])}
    spelling = PieceSpelling({}, {}, {}, None)
    for token, number in dict(tokenizer.vocabulary).items():
        if token in special:
            spelling.special[token] = number
        else:
            content = token_bytes(token)
            spelling.ordinary[number] = token.encode("utf-8") if content is None else content
    return spelling
