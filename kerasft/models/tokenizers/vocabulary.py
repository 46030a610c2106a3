"""The tokens of a tokenizer as people read them, and which of them are special."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import keras_hub
import numpy as np

from kerasft.errors import UserError
from kerasft.models.tokenizers.byte_pair import token_bytes


class Vocabulary:
    """What masking and its answers need of a tokenizer.

    Args:
        tokenizer: WordPiece or byte-level BPE, with a mask token.

    Attributes:
        tokens: of each id: WordPieces as they are, such as "##ing"; byte-level ones as text, with their leading space.
        ordinary: (vocabulary,) bool, tokens that are not special.
        mask_token, mask_id: how the token is spelt that hides others, such as "[MASK]", and its id.

    Raises:
        UserError: the tokenizer is of another kind, or has no mask token.
    """

    def __init__(self, tokenizer: keras_hub.tokenizers.Tokenizer):
        mask_token = getattr(tokenizer, "mask_token", None)
        if mask_token is None or not isinstance(
            tokenizer, (keras_hub.tokenizers.WordPieceTokenizer, keras_hub.tokenizers.BytePairTokenizer)
        ):
            raise UserError(
                f"model.preset: a {type(tokenizer).__name__} has no mask token that is found in texts here; use an "
                "encoder with WordPiece or byte-level BPE, such as BERT or RoBERTa"
            )
        self.mask_token: str = mask_token
        self._byte_level = isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer)
        if self._byte_level:
            ids = dict(tokenizer.vocabulary)
            special = [*tokenizer.special_tokens, *(tokenizer.unsplittable_tokens or [])]
        else:
            ids = {token: number for number, token in enumerate(tokenizer.get_vocabulary())}
            special = [*tokenizer.special_tokens, *(tokenizer.get_config()["special_tokens"] or [])]
            special.append(tokenizer.oov_token)
        self.mask_id = ids[self.mask_token]
        self.ordinary = np.zeros(max(ids.values()) + 1, bool)
        self.tokens = [""] * len(self.ordinary)
        for token, number in ids.items():
            self.ordinary[number] = token not in special
            self.tokens[number] = _as_text(token) if self._byte_level and token not in special else token

    def text(self, ids: Iterable[int]) -> str:
        """Ids as one text, special tokens included, for people to read: white space may differ from the original's."""
        if self._byte_level:
            return "".join(self.tokens[number] for number in ids)
        return " ".join(self.tokens[number] for number in ids).replace(" ##", "")


def check_vocabulary(backbone: keras.Model, tokenizer: keras_hub.tokenizers.Tokenizer) -> None:
    """Raises UserError where a tokenizer has an id for which a backbone's token embedding has no row."""
    if isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer):
        highest = max(tokenizer.vocabulary.values())
    else:
        highest = int(tokenizer.vocabulary_size()) - 1
    rows = int(backbone.token_embedding.input_dim)
    if highest >= rows:
        raise UserError(
            f"model.preset: its tokenizer has ids up to {highest:,}, and its token embedding {rows:,} rows (0 to "
            f"{rows - 1:,}); take vocabulary and weights from the same model, or resize the embedding"
        )


def _as_text(token: str) -> str:
    spelling = token_bytes(token)
    return token if spelling is None else spelling.decode("utf-8", "replace")
