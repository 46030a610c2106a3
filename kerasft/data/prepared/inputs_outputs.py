"""A split as an encoder with a decoder reads it: rows of input tokens, and of output tokens each with its next one."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerasft.data.prepared.prepared import TEXTS_A_BATCH, Prepared, TokenStore, prepare, tokenized
from kerasft.data.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class InputsOutputs(Prepared):
    """Rows of two sides, each with lengths of its own: what `Prepared` has is of the outputs.

    `targets` (tokens of outputs,) are the ids that follow, and a row weighs as many as are to be said.

    Attributes:
        encoder: the inputs; they have no targets.
        text_bytes: that the targets spell.
    """

    encoder: Prepared
    text_bytes: int

    @property
    def sides(self) -> tuple[Prepared, ...]:
        return (self.encoder, self)

    @functools.cached_property
    def tokens(self) -> np.ndarray:
        """(rows,) of both sides."""
        return self.encoder.lengths + self.lengths

    @property
    def feature_types(self) -> dict[str, np.dtype]:
        return self.encoder.feature_types | super().feature_types

    def longest_of(self, feature: str) -> int:
        return self.encoder.longest if feature in self.encoder.features else self.longest

    def batch(
        self, rows: np.ndarray, static: bool = False, padded_with: np.ndarray | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """As `Prepared.batch`, each side padded to its own longest row."""
        features, targets, weights = super().batch(rows, static, padded_with)
        return self.encoder.batch(rows, static, padded_with)[0] | features, targets, weights


def prepare_pairs(table: Table, preprocessor: Any) -> InputsOutputs:
    """Tokenizes every input, as a server does, and every output, and keeps both in temporary files.

    Args:
        table: rows with a column `output` and those of the input.
        preprocessor: see `kerasft.models.preprocessing.seq2seq_preprocessor`.
    """
    nothing = np.broadcast_to(np.float32(0), (len(table),))
    encoder = _with_prefix(prepare(table, preprocessor, nothing, nothing), "encoder")
    store, lengths, full_lengths, target_counts = TokenStore(np.dtype(np.int32)), [], [], []
    texts = (batch["output"] for batch in table.batches(TEXTS_A_BATCH, ["output"]))
    for ids in tokenized(texts, preprocessor.tokens):
        row, full = preprocessor.taught(ids)
        store.append(row.astype(np.int32))
        lengths.append(len(row))
        full_lengths.append(full)
        target_counts.append(int((row[:, 1] >= 0).sum()))
    tokens = store.values().reshape(-1, 2)
    outputs = Prepared(
        features={"token_ids": tokens[:, 0], "padding_mask": np.broadcast_to(np.int32(1), (len(tokens),))},
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        full_lengths=np.array(full_lengths, np.int32),
        targets=tokens[:, 1],
        weights=np.array(target_counts, np.float32),
        pad_values=preprocessor.pad_values,
        longest=preprocessor.max_output_length,
        token_targets=True,
    )
    token_bytes = preprocessor.token_bytes[outputs.targets[outputs.targets >= 0]]
    # The end of an output is said too: a row that says more has a first token.
    openings = preprocessor.opening_bytes * sum(count > 1 for count in target_counts)
    text_bytes = int(token_bytes.sum()) - openings
    return InputsOutputs(**vars(_with_prefix(outputs, "decoder")), encoder=encoder, text_bytes=text_bytes)


def _with_prefix(side: Prepared, prefix: str) -> Prepared:
    """The same with the names that the model's inputs have."""
    return replace(
        side,
        features={f"{prefix}_{name}": values for name, values in side.features.items()},
        pad_values={f"{prefix}_{name}": value for name, value in side.pad_values.items()},
    )
