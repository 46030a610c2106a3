"""How many tokens texts have and how many of them are unknown: what a server watches beside the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kerasft.models.tokenizers.encoder import clean

# Characters of a text that are looked at. Whatever a client sends, a count costs no more than these.
CHARACTERS = 4096


def token_counts(preprocessor: Any, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Texts -> how many tokens each row has, before anything is cut off for the model.

    Args:
        preprocessor: of any task, for its encoder.
        columns: name -> (batch,) strings of any bytes, for each name in its `inputs`.

    Returns:
        `tokens` (batch,) int32 in the first 4,096 characters of each text of a row, without special tokens; `unknown`
        (batch,) int32, those of them that stand for what the vocabulary cannot spell, where a tokenizer has such a
        token (a byte-level one has none).
    """
    encoder = preprocessor.encoder
    texts = [columns[name] for name in preprocessor.inputs]
    # One pass over all is a smaller graph, and faster, than one for each.
    ids = encoder(tf.strings.substr(clean(tf.concat(texts, 0)), 0, CHARACTERS, unit="UTF8_CHAR"))
    counts_of = {"tokens": ids.row_lengths()}
    if encoder.unknown_id is not None:
        unknown = tf.cast(ids.flat_values == encoder.unknown_id, tf.int64)
        counts_of["unknown"] = tf.math.unsorted_segment_sum(unknown, ids.value_rowids(), ids.nrows())
    return {
        # (texts * batch,) -> (batch,)
        name: tf.reduce_sum(tf.reshape(tf.cast(counts, tf.int32), [len(texts), -1]), axis=0)
        for name, counts in counts_of.items()
    }
