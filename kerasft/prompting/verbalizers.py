"""Label texts as tokens: what a language model is asked about in place of a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_hub

from kerasft.errors import UserError
from kerasft.prompting.base import Labels
from kerasft.prompting.template_preprocessor import token_ids
from kerasft.prompting.templates import Template
from kerasft.quoting import quoted


def label_ids(labels: Labels, encoder: Any, tokenizer: Any, template: Template, name: str) -> list[list[list[int]]]:
    """Label -> its texts -> token ids.

    Args:
        labels: with their texts.
        encoder: of the tokenizer, in graph.
        tokenizer: WordPiece or byte-level BPE.
        template: where the label stands, as `name`; byte-level tokens have the space in front in them.
        name: `mask` or `label`.

    Raises:
        UserError: a text has no tokens or an unknown one, or two labels have a text of the same tokens.
    """
    words = next(words for words, placed in template.parts if placed == name)
    byte_level = isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer)
    before = " " if byte_level and words.endswith(" ") else ""
    flat = iter(token_ids(encoder, [before + text.strip() for own in labels.texts for text in own]))
    ids = [[next(flat) for _ in own] for own in labels.texts]
    check_distinct(labels, ids, getattr(encoder, "unknown_id", None))
    return ids


def check_distinct(labels: Labels, ids: Sequence[Sequence[Sequence[int]]], unknown: int | None) -> None:
    """Raises UserError where the tokens of label texts do not tell labels apart."""
    owners: dict[tuple[int, ...], str] = {}
    for label, texts, own in zip(labels.names, labels.texts, ids):
        for text, tokens in zip(texts, own):
            if not tokens or (unknown is not None and unknown in tokens):
                raise UserError(
                    f"task.label_texts: {quoted(label)}: the model has no token for {quoted(text)}; write another text"
                )
            other = owners.setdefault(tuple(tokens), label)
            if other != label:
                raise UserError(
                    f"task.label_texts: {quoted(other)} and {quoted(label)} have texts of the same tokens "
                    f"({quoted(text)}), so the model can't tell them apart; write other texts"
                )
