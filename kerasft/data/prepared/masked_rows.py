"""A split as a masked language model reads it: rows are stored once, whole, and tokens hidden when a batch is made."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.masking import Masking
from kerasft.data.prepared.packing import pack
from kerasft.data.prepared.prepared import NO_TARGET, TEXTS_A_BATCH, Prepared, TokenStore, tokenized
from kerasft.data.tables.table import Table
from kerasft.errors import UserError


@dataclass(frozen=True, kw_only=True)
class MaskedRows(Prepared):
    """Rows of one or several texts. `full_lengths` are those of the texts; targets and weights are made with a batch.

    Attributes:
        opens_word: (tokens,) bool.
        masking: what is hidden of a row.
        step: of training; None: rows as they are measured.
    """

    opens_word: np.ndarray
    masking: Masking
    step: int | None = None

    @property
    def truncated(self) -> float:
        """0: a text that is longer than a row goes on in the next."""
        return 0.0

    @property
    def feature_types(self) -> dict[str, np.dtype]:
        return {**super().feature_types, "mask_positions": np.dtype(np.int32)}

    @property
    def target_shape(self) -> tuple[int | None, ...]:
        return (None,)

    @property
    def longest_targets(self) -> int:
        return self.masking.most(self.longest)

    def longest_of(self, feature: str) -> int:
        return self.longest_targets if feature == "mask_positions" else super().longest_of(feature)

    def at_step(self, step: int) -> MaskedRows:
        return dataclasses.replace(self, step=step)

    def batch(
        self, rows: np.ndarray, static: bool = False, padded_with: np.ndarray | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """As `Prepared.batch`, with hidden tokens.

        Returns:
            The features, `mask_positions` (batch, masks) of the hidden tokens, 0 where there are no more; (batch,
            masks) the ids that were there, NO_TARGET where there are no more; (batch,) how many, as a row's weight.
        """
        features, _, _ = super().batch(rows, static, padded_with)
        masks = [self._mask_of(row) for row in rows]
        counts = np.array([len(hidden) for hidden, _ in masks])
        positions = np.zeros((len(rows), self._width(counts, static)), np.int32)
        targets = np.full(positions.shape, NO_TARGET, np.int32)
        for number, (hidden, replacements) in enumerate(masks):
            tokens = features["token_ids"][number]
            positions[number, : len(hidden)] = hidden
            targets[number, : len(hidden)] = tokens[hidden]
            tokens[hidden] = replacements
        return {**features, "mask_positions": positions}, targets, counts.astype(np.float32)

    @functools.cached_property
    def hidden(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, masks) positions and true ids, as the split is measured; NO_TARGET where a row has no more."""
        features, targets, _ = dataclasses.replace(self, step=None).batch(np.arange(len(self)))
        return np.where(targets == NO_TARGET, NO_TARGET, features["mask_positions"]), targets

    def _width(self, counts: np.ndarray, static: bool) -> int:
        if static:
            return self.longest_targets
        # All batches of a split that is measured have the same, so that their logits fit into one array.
        return max(1, int(counts.max())) if self.step is not None else self._widest

    @functools.cached_property
    def _measured(self) -> list[tuple[np.ndarray, ...]]:
        return [self._draw(row, None) for row in range(len(self))]

    @functools.cached_property
    def _widest(self) -> int:
        return max(1, *(len(positions) for positions, _ in self._measured))

    def _mask_of(self, row: int) -> tuple[np.ndarray, ...]:
        if row < 0:  # it only fills the batch up
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        return self._measured[row] if self.step is None else self._draw(row, self.step)

    def _draw(self, row: int, step: int | None) -> tuple[np.ndarray, ...]:
        tokens = slice(self.offsets[row], self.offsets[row + 1])
        return self.masking.draw(self.features["token_ids"][tokens], self.opens_word[tokens], step, int(row))


def prepare_masked_rows(table: Table, preprocessor: Any, masking: Masking, across: bool) -> MaskedRows:
    """Tokenizes every text of a table, in graph, and keeps full rows of them in temporary files.

    Args:
        table: rows with a column `text`, each a document.
        preprocessor: see `kerasft.models.preprocessing.masked_lm_preprocessor`.
        masking: what is hidden.
        across: whether rows go on across documents.

    Raises:
        UserError: no text has a token.
    """
    start, end = (_special(preprocessor.layout, name) for name in ("start", "end"))
    store, lengths, full_lengths = TokenStore(np.dtype(np.int32)), [], []

    def documents() -> Iterator[np.ndarray]:
        for document in _tokenized(table, preprocessor):
            full_lengths.append(len(document) + len(start) + len(end))
            yield document

    for row in pack(documents(), preprocessor.max_length - len(start) - len(end), end, across):
        store.append(np.concatenate([start, row, end]))
        lengths.append(len(start) + len(row) + len(end))
    if not lengths:
        raise UserError("data: every text of a split is empty; a language model needs some")
    tokens = store.values().reshape(-1, 2)
    values = {"token_ids": tokens[:, 0], "padding_mask": _constant(1, tokens), "segment_ids": _constant(0, tokens)}
    return MaskedRows(
        features={name: values[name] for name in preprocessor.pad_values},
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        full_lengths=np.array(full_lengths, np.int32),
        targets=np.empty((len(lengths), 0), np.int32),
        weights=np.ones(len(lengths), np.float32),
        pad_values=preprocessor.pad_values,
        longest=preprocessor.max_length,
        opens_word=tokens[:, 1].astype(bool),
        masking=masking,
    )


def _tokenized(table: Table, preprocessor: Any) -> Iterator[np.ndarray]:
    """Each text as (tokens, 2): its ids, and whether they open a word."""

    def pairs(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ids, opens, counts = preprocessor.tokens(text)
        return tf.stack([ids, tf.cast(opens, tf.int32)], axis=1), counts

    return tokenized((batch["text"] for batch in table.batches(TEXTS_A_BATCH, ["text"])), pairs)


def _special(layout: Any, name: str) -> np.ndarray:
    ids = getattr(layout, name)
    return np.stack([np.array(ids, np.int32), np.ones(len(ids), np.int32)], axis=1)


def _constant(value: int, tokens: np.ndarray) -> np.ndarray:
    """(tokens,) of one value, without memory of its own."""
    return np.broadcast_to(np.int32(value), (len(tokens),))
