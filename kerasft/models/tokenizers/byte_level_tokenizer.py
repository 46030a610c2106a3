"""A KerasHub byte-pair tokenizer whose special tokens and splitting of words are told, not known by a family's name."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub


@keras.saving.register_keras_serializable("kerasft")
class ByteLevelTokenizer(keras_hub.tokenizers.BytePairTokenizer):
    """Keeps vocabulary, merges and settings; `kerasft.models.tokenizers.byte_pair.BytePairEncoder` makes the ids.

    KerasHub's families name their special tokens in code, and their own calls know nothing of `split_digits`.

    Args:
        vocabulary, merges: as KerasHub has them.
        start_token: begins a text; None: nothing does, and `end_token` parts documents.
        end_token: ends a text.
        split_digits: whether each digit is a word by itself, as SmolLM and StarCoder have it.
        unsplittable_tokens: all special tokens, which are found in texts.
    """

    backbone_cls = keras_hub.models.Llama3Backbone

    def __init__(
        self,
        vocabulary: dict[str, int] | None = None,
        merges: list[str] | None = None,
        start_token: str | None = None,
        end_token: str = "<|endoftext|>",
        split_digits: bool = False,
        **kwargs,
    ):
        self.split_digits, self._begins = split_digits, start_token
        self._add_special_token(start_token or end_token, "start_token")
        self._add_special_token(end_token, "end_token")
        self._add_special_token(end_token, "pad_token")
        super().__init__(vocabulary=vocabulary, merges=merges, **kwargs)

    def get_config(self) -> dict[str, Any]:
        own = {"start_token": self._begins, "end_token": self.end_token, "split_digits": self.split_digits}
        return super().get_config() | own
