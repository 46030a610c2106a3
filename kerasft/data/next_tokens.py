"""A split as a causal language model reads it: rows of tokens, and for each the token that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasft.data.packing import pack
from kerasft.data.prepared import TEXTS_A_BATCH, Prepared, TokenStore, tokenized
from kerasft.data.table import Table
from kerasft.errors import UserError

NOTHING = np.empty((0, 2), np.int32)  # between documents: each begins with the token that parts them


@dataclass(frozen=True, kw_only=True)
class NextTokens(Prepared):
    """Rows of one or several documents; `targets` (tokens,) are the ids that follow, and a row weighs as many.

    `full_lengths` are those of the documents.

    Attributes:
        text_bytes: UTF-8 bytes of the texts that the targets spell.
    """

    text_bytes: int

    @property
    def truncated(self) -> float:
        """0: a text that is longer than a row goes on in the next."""
        return 0.0


def prepare_documents(table: Table, preprocessor: Any, across: bool) -> NextTokens:
    """Tokenizes every text of a table, in graph, and keeps full rows of them in temporary files.

    Each token of a document is said once, from what stands before it in its row, and so is its end. An empty text is
    no document.

    Args:
        table: rows with a column `text`, each a document.
        preprocessor: see `kerasft.models.prompt_preprocessor`.
        across: whether rows go on across documents.

    Raises:
        UserError: no text has a token.
    """
    counted = {"bytes": 0}

    def texts() -> Iterable[list[str]]:
        for batch in table.batches(TEXTS_A_BATCH, ["text"]):
            counted["bytes"] += sum(len(text.encode("utf-8", "replace")) for text in batch["text"])
            yield batch["text"]

    store, lengths, full_lengths = TokenStore(np.dtype(np.int32)), [], []

    def documents() -> Iterable[np.ndarray]:
        for ids in tokenized(texts(), preprocessor.tokens):
            if len(ids):
                full_lengths.append(len(ids) + 1)
                yield preprocessor.pairs(ids)

    for row in pack(documents(), preprocessor.max_length, NOTHING, across):
        store.append(row.astype(np.int32))
        lengths.append(len(row))
    if not lengths:
        raise UserError("data: every text of a split is empty; a language model needs some")
    tokens = store.values().reshape(-1, 2)
    values = {"token_ids": tokens[:, 0], "padding_mask": np.broadcast_to(np.int32(1), (len(tokens),))}
    return NextTokens(
        features={name: values[name] for name in preprocessor.pad_values},
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        full_lengths=np.array(full_lengths, np.int32),
        targets=tokens[:, 1],
        weights=np.array(lengths, np.float32),
        pad_values=preprocessor.pad_values,
        longest=preprocessor.max_length,
        token_targets=True,
        text_bytes=counted["bytes"],
    )
