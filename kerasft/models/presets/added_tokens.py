"""Tokens of a task's own: rows appended to a vocabulary and to the embedding table that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import keras_hub
import numpy as np

from kerasft.errors import UserError
from kerasft.models.presets.layer_settings import rebuilt

NOISE = 0.1  # of each dimension's standard deviation: enough to tell new rows apart


def add_tokens(
    backbone: keras_hub.models.Backbone,
    tokenizer: keras_hub.tokenizers.Tokenizer,
    tokens: Sequence[str],
    seed: int,
    in_texts: bool = True,
) -> tuple[keras_hub.models.Backbone, keras_hub.tokenizers.Tokenizer, list[int]]:
    """Adds tokens, special ones that are found whole wherever a text spells them out.

    They are appended, also where BERT's vocabulary has `[unused1]` and the like: other families have no such
    slots, their vectors were never trained either, and a renamed entry would make the vocabulary disagree with
    the published one. An embedding table that is longer than the vocabulary is used before it grows. New rows
    are the mean of the old ones with a little noise (Hewitt 2021, "Initializing New Word Embeddings").

    Args:
        backbone: a pre-trained backbone; it is left as it is.
        tokenizer: its tokenizer, WordPiece or byte-level BPE; it is left as it is.
        tokens: a token that the vocabulary has already keeps its row.
        seed: of the noise.
        in_texts: False: no text can spell them; whoever added them puts their ids where they belong.

    Returns:
        The backbone, the tokenizer, and the id of each token.

    Raises:
        UserError: the tokenizer is of another kind.
    """
    before = _ids(tokenizer)
    found = tokens if in_texts else ()
    tokenizer = _with_tokens(tokenizer, [token for token in tokens if token not in before], found)
    after = _ids(tokenizer)
    ids = [after[token] for token in tokens]
    fresh = [after[token] for token in tokens if token not in before]
    return (_with_rows(backbone, fresh, seed) if fresh else backbone), tokenizer, ids


def _ids(tokenizer: keras_hub.tokenizers.Tokenizer) -> dict[str, int]:
    if isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer):
        return dict(tokenizer.vocabulary)
    if isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
        return {token: i for i, token in enumerate(tokenizer.get_vocabulary())}
    raise UserError(
        f"model.preset: a {type(tokenizer).__name__} takes no tokens of a task's own; use a model whose tokenizer is "
        "WordPieceTokenizer or BytePairTokenizer, such as BERT or RoBERTa"
    )


def _with_tokens(
    tokenizer: keras_hub.tokenizers.Tokenizer, fresh: Sequence[str], special: Sequence[str]
) -> keras_hub.tokenizers.Tokenizer:
    """The same tokenizer with new tokens at the end of its vocabulary; all of `special` are found in texts."""
    config = tokenizer.get_config()
    if isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer):
        vocabulary = dict(tokenizer.vocabulary)
        vocabulary |= {token: i for i, token in enumerate(fresh, max(vocabulary.values()) + 1)}
        config |= {"vocabulary": vocabulary, "merges": list(tokenizer.merges)}
        key = "unsplittable_tokens"
    else:
        config |= {"vocabulary": [*tokenizer.get_vocabulary(), *fresh]}
        # KerasHub's own config leaves this one out (0.25 to 0.32).
        config |= {"split_on_cjk": tokenizer.split_on_cjk}
        key = "special_tokens"
    config[key] = list(dict.fromkeys([*(config[key] or []), *special]))
    return type(tokenizer).from_config(config)


def _with_rows(backbone: keras_hub.models.Backbone, fresh: Sequence[int], seed: int) -> keras_hub.models.Backbone:
    """The same backbone built again, with vectors for new ids and a table that is long enough."""
    random = np.random.default_rng(seed)
    old_size, config = min(fresh), backbone.get_config()
    key = "vocab_size" if "vocab_size" in config else "vocabulary_size"  # ELECTRA says the former
    grown = rebuilt(backbone, **{key: max(config[key], max(fresh) + 1)})
    for old, new in zip(backbone.weights, grown.weights):
        value = np.array(keras.ops.convert_to_numpy(new))
        value[tuple(slice(size) for size in old.shape)] = keras.ops.convert_to_numpy(old)
        new.assign(value)
    embedding = grown.token_embedding
    _fill(embedding.embeddings, fresh, old_size, random)
    output = getattr(embedding, "reverse_embeddings", None)  # an untied output layer, (hidden, vocabulary)
    if output is not None:
        _fill(output, fresh, old_size, random, axis=1)
    return grown


def _fill(
    table: keras.Variable, fresh: Sequence[int], old_size: int, random: np.random.Generator, axis: int = 0
) -> None:
    """Writes the rows `fresh`, or columns for axis 1, from the statistics of the first `old_size` ones."""
    value = np.array(keras.ops.convert_to_numpy(table))
    rows = value if axis == 0 else value.T  # a view: what is written there is written to `value`
    mean, deviation = rows[:old_size].mean(0), rows[:old_size].std(0)
    rows[list(fresh)] = mean + random.normal(0.0, NOISE, (len(fresh), rows.shape[1])) * deviation
    table.assign(value)
