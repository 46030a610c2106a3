"""A split as the model reads it: every text tokenized once, by the very object that goes into the SavedModel."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.ahead import made_ahead

TEXTS_A_BATCH = 512  # enough to fill a call of the tokenizer, few enough that a batch stays small
NO_TARGET = -1  # of a token that counts nothing in the loss
# Padded lengths are multiples of this, but for batches on a CPU: fewer distinct shapes, and matrix units like them.
LENGTH_STEP = 8


@dataclass(frozen=True)
class Prepared:
    """Features of a whole split, without padding.

    Attributes:
        features: name -> (tokens,) values of all rows, one row after the other.
        offsets: (rows + 1,) where each row starts.
        full_lengths: (rows,) tokens before truncation.
        targets: (rows, ...) what the loss compares with; where `token_targets`, (tokens,) like a feature.
        weights: (rows,) float32.
        pad_values: name -> value of a position without a token.
        longest: the longest a row can be.
        token_targets: each token has a target of its own; batches pad them with NO_TARGET.
        beside: name -> what an objective reads beside the targets; see `kerasft.data.prepared.beside`.
        epochs: the rows of each epoch, where a training has other forms of them in each; after the last comes the first
            again. None: every epoch has all rows.
    """

    features: Mapping[str, np.ndarray]
    offsets: np.ndarray
    full_lengths: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    pad_values: Mapping[str, int]
    longest: int
    token_targets: bool = False
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    epochs: Sequence[np.ndarray] | None = None

    @property
    def truncated(self) -> float:
        """The share of rows that lost tokens."""
        return float((self.full_lengths > self.lengths).mean())

    @property
    def feature_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch's features without the batch."""
        return (None,)

    @property
    def feature_types(self) -> dict[str, np.dtype]:
        """Name of each feature of a batch -> its type."""
        return {name: values.dtype for name, values in self.features.items()}

    @property
    def target_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch's targets without the batch."""
        return (None,) if self.token_targets else self.targets.shape[1:]

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """(rows,) tokens of each row, after truncation."""
        return np.diff(self.offsets)

    @functools.cached_property
    def tokens(self) -> np.ndarray:
        """(rows,) tokens that the model reads of each row; a batch has rows of which these are alike."""
        return self.lengths

    @property
    def rows_of_texts(self) -> np.ndarray:
        """(rows of the table,) how many rows each of them became, one behind the other."""
        return np.ones(len(self), np.int64)

    @property
    def sides(self) -> tuple[Prepared, ...]:
        """Texts that the model reads apart from each other, each with lengths of its own."""
        return (self,)

    def longest_of(self, feature: str) -> int:
        """The longest that a row of this feature can be."""
        return self.longest

    @property
    def longest_targets(self) -> int:
        """The most targets that a row can have, where its tokens have targets of their own."""
        return self.longest

    @functools.cached_property
    def text_lengths(self) -> np.ndarray:
        """(rows, texts) tokens of each text that the model reads by itself."""
        return self.lengths[:, None]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def at_step(self, step: int) -> Prepared:
        """The split as training sees it at a step, for splits whose rows differ each time they are seen."""
        return self

    def batch(
        self, rows: np.ndarray, static: bool = False, padded_with: np.ndarray | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Rows -> (features, targets, weights), padded; a row of -1 repeats row 0 with weight 0.

        Args:
            rows: (batch,) indices.
            static: pad to the longest length there can be, for devices that compile each shape.
            padded_with: rows that are padded to the same length, such as those of other replicas; None: these alone.

        Returns:
            name -> (batch, length), (batch, ...), (batch,).
        """
        real, rows = rows >= 0, np.maximum(rows, 0)
        lengths = self.lengths[rows]
        longest = int(self.lengths[rows if padded_with is None else np.maximum(padded_with, 0)].max())
        length = self.longest if static else self.padded_length(longest)
        mask = np.arange(length) < lengths[:, None]  # (batch, length)
        source = self.token_index(rows)
        features = {}
        for name, values in self.features.items():
            features[name] = np.full(mask.shape, self.pad_values[name], values.dtype)
            features[name][mask] = values[source]
        targets = self.targets[rows] if not self.token_targets else np.full(mask.shape, NO_TARGET, self.targets.dtype)
        if self.token_targets:
            targets[mask] = self.targets[source]
        return features, targets, self.weights[rows] * real.astype(np.float32)

    def padded_length(self, longest: int) -> int:
        """The length of a batch whose longest row has so many tokens, where shapes may differ."""
        step = LENGTH_STEP if tf.config.list_physical_devices("GPU") else 1
        return min(-(-longest // step) * step, self.longest)

    def token_index(self, rows: np.ndarray) -> np.ndarray:
        """(rows,) -> (tokens of these rows,) their places among all tokens, row after row."""
        return np.concatenate([np.arange(a, b) for a, b in zip(self.offsets[rows], self.offsets[rows + 1])])


class TextColumns(Protocol):
    """Rows of texts, such as a table's."""

    def batches(self, size: int, names: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        """Column name -> `size` values each, in row order."""
        ...


def prepare(table: TextColumns, preprocessor: Any, targets: np.ndarray, weights: np.ndarray) -> Prepared:
    """Tokenizes every row of a table, in graph, and keeps the result in a temporary file.

    Args:
        table: rows with the preprocessor's string columns.
        preprocessor: string columns -> features padded to the longest row; see
            `kerasft.models.preprocessing.preprocessor`.
        targets: (rows, ...).
        weights: (rows,).
    """
    names = list(preprocessor.inputs)
    texts = ({name: tf.constant(batch[name]) for name in names} for batch in table.batches(TEXTS_A_BATCH, names))
    stores: dict[str, Any] = {}
    lengths, full_lengths = [], []
    for features, full in made_ahead(preprocessor.measured, texts):
        mask = features["padding_mask"].astype(bool)
        lengths.append(mask.sum(-1))
        full_lengths.append(full)
        for name, values in features.items():
            store = stores.setdefault(name, TokenStore(values.dtype))
            store.append(values[mask])  # (batch, length) -> (tokens,), row after row
    return Prepared(
        features={name: store.values() for name, store in stores.items()},
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64),
        full_lengths=np.concatenate(full_lengths),
        targets=targets,
        weights=weights,
        pad_values=preprocessor.pad_values,
        longest=preprocessor.max_length,
    )


def tokenized(
    batches: Iterable[list[str]], tokens: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
) -> Iterator[np.ndarray]:
    """The tokens of each text, in order; batches are tokenized ahead.

    Args:
        batches: of texts.
        tokens: (batch,) strings -> (all tokens, ...) and (batch,) how many each text has.

    Returns:
        (tokens, ...) of each text.
    """
    for ids, counts in made_ahead(tokens, map(tf.constant, batches)):
        yield from np.split(ids, np.cumsum(counts)[:-1])


class TokenStore:
    """Appends arrays to a nameless temporary file and maps it into memory: large splits need no large memory."""

    def __init__(self, dtype: np.dtype):
        self.dtype, self.file = dtype, tempfile.TemporaryFile(prefix="kerasft-")

    def append(self, values: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(values).tobytes())

    def values(self) -> np.ndarray:
        self.file.flush()
        return np.memmap(self.file, self.dtype, "r")
