"""Where the tokens of a model's rows come from in the texts, for explanations and spans; beside the served graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kerasft.models.preprocessing.ragged_rows import repeated, side_by_side
from kerasft.models.tokenizers.offsets import Pieces

NOWHERE = -1  # both offsets and the column of a special token


class TokenOffsets(NamedTuple):
    """The tokens of a batch's rows, in the order in which the model reads them, special tokens among them.

    Attributes:
        offsets: (rows, tokens, 2) int32, ragged in tokens: the first code point and one past the last, in the text that
            the token came from; NOWHERE twice for special tokens. Of tokens that share a character each has all of it.
        column: (rows, tokens) int32 which of `texts` that is; NOWHERE for special tokens.
        text_of_row: (rows,) int64 the number in the batch of the text, or pair of texts, that a row is of: itself,
            but where a long text has several rows.
        texts: (batch,) strings of each column, as valid UTF-8 with U+FFFD where there was none.
    """

    offsets: tf.RaggedTensor
    column: tf.RaggedTensor
    text_of_row: tf.Tensor
    texts: tuple[tf.Tensor, ...]


class Run(NamedTuple):
    """Tokens that stand beside each other in each row.

    Attributes:
        indices: (rows, tokens) int64 where they are among all tokens of `pieces`.
        pieces: where these come from.
        column: of which column they are.
    """

    indices: tf.RaggedTensor
    pieces: Pieces
    column: int


def all_tokens(pieces: Pieces) -> tf.RaggedTensor:
    """(batch, tokens) int64 the place of each token among all of them."""
    return pieces.ids.with_flat_values(tf.range(tf.size(pieces.ids.flat_values, out_type=tf.int64)))


def located(
    runs: Sequence[Run | Sequence[int]], texts: Sequence[tf.Tensor], text_of_row: tf.Tensor | None = None
) -> TokenOffsets:
    """Runs of tokens and ids of special tokens, side by side in each row -> where they come from.

    Args:
        runs: at least one is a `Run`; a sequence is of special tokens, the same in each row.
        texts: (batch,) strings of each column.
        text_of_row: see `TokenOffsets`; None: each row is of a text of its own.
    """
    rows = next(run.indices.nrows() for run in runs if isinstance(run, Run))
    whole = side_by_side([_placed(run, rows) for run in runs])  # (rows, tokens, 3)
    flat = whole.flat_values  # (all tokens, 3) start, end, column
    own = tf.range(rows) if text_of_row is None else text_of_row
    return TokenOffsets(whole.with_flat_values(flat[:, :2]), whole.with_flat_values(flat[:, 2]), own, tuple(texts))


def _placed(run: Run | Sequence[int], rows: tf.Tensor) -> tf.RaggedTensor:
    """-> (rows, tokens, 3) int32 start, end and column of each token."""
    if not isinstance(run, Run):
        special = repeated(tuple(run), rows)
        return special.with_flat_values(tf.fill([tf.size(special.flat_values), 3], NOWHERE))
    starts, ends = (tf.gather(values, run.indices.flat_values) for values in (run.pieces.starts, run.pieces.ends))
    return run.indices.with_flat_values(tf.stack([starts, ends, tf.fill(tf.shape(starts), run.column)], axis=1))
