"""A split of texts as windows that the model reads, with what its logits are about: the units of each text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.ahead import made_ahead
from kerasft.data.prepared.prepared import NO_TARGET, TEXTS_A_BATCH, Prepared, TokenStore
from kerasft.data.prepared.spans import Spans
from kerasft.data.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class PreparedWindows(Prepared):
    """Windows of texts: rows are windows, targets are tags of tokens.

    Attributes:
        answers: (tokens,) bool, the tokens that open a unit and whose logits are its answer; in the order of units.
        units: of all texts.
        gold: what is true of the texts, whether or not the model could say it.
        words: the tokens that the data came in; the units where they came as plain texts.
        texts: how many there are.
        windows: (texts,) int64 how many windows each has.
    """

    answers: np.ndarray
    units: Spans
    gold: Spans
    words: Spans
    texts: int
    windows: np.ndarray

    @property
    def rows_of_texts(self) -> np.ndarray:
        return self.windows

    @property
    def truncated(self) -> float:
        """0: windows lose nothing."""
        return 0.0


def prepare_windows(
    table: Table,
    preprocessor: Any,
    gold: Spans,
    words: Spans | None,
    tags_of: Callable[[Spans], np.ndarray],
) -> PreparedWindows:
    """Tokenizes every text of a table, in graph, and keeps its windows in temporary files.

    A window weighs as many tokens as have a tag, so that the loss is the mean over them in the global batch.

    Args:
        table: rows with a column `text`.
        preprocessor: see `kerasft.models.preprocessing.window_preprocessor`.
        gold: what is true.
        words: the tokens of the data, or None.
        tags_of: the units of the split -> (units,) int32 the tag of each.
    """
    stores = {name: TokenStore(np.dtype(np.int32)) for name in [*preprocessor.pad_values, "opens"]}
    stores["answers"] = TokenStore(np.dtype(bool))
    lengths, full_lengths, units, windows, unit_count, texts = [], [], [], [], 0, 0
    for batch in _preprocessed(table, preprocessor):
        mask = batch["padding_mask"].astype(bool)
        text_of_window = np.repeat(np.arange(len(batch["windows"])), batch["windows"])
        first_unit = unit_count + np.cumsum(batch["units"]) - batch["units"]  # (batch,), counted through the split
        windows.append(batch["windows"])
        opens = batch["unit"] >= 0
        opens_unit = np.where(opens, batch["unit"] + first_unit[text_of_window][:, None], NO_TARGET)
        for name in preprocessor.pad_values:
            stores[name].append(batch[name][mask])
        stores["opens"].append(opens_unit[mask].astype(np.int32))
        stores["answers"].append((opens & batch["owned"])[mask])
        lengths.append(mask.sum(-1))
        tokens = np.bincount(text_of_window, batch["owned"].sum(-1), minlength=len(batch["windows"]))
        full_lengths.append(tokens.astype(np.int32) + preprocessor.special)
        owner = np.repeat(np.arange(len(batch["units"])), batch["units"])
        units.append(np.stack([owner + texts, batch["unit_starts"], batch["unit_ends"]], axis=1))
        unit_count, texts = unit_count + len(owner), texts + len(batch["units"])
    whole = np.concatenate(units)
    unit_spans = Spans(whole[:, 0], whole[:, 1], whole[:, 2], np.zeros(len(whole), np.int32))
    values = {name: store.values() for name, store in stores.items()}
    opens_unit, answers = values.pop("opens"), values.pop("answers")
    # One more tag at the end, which NO_TARGET finds as index -1.
    targets = np.append(tags_of(unit_spans), NO_TARGET).astype(np.int32)[opens_unit]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return PreparedWindows(
        features=values,
        offsets=offsets,
        full_lengths=np.concatenate(full_lengths),
        targets=targets,
        weights=np.add.reduceat(targets != NO_TARGET, offsets[:-1]).astype(np.float32),
        pad_values=preprocessor.pad_values,
        longest=preprocessor.max_length,
        token_targets=True,
        answers=answers,
        units=unit_spans,
        gold=gold,
        words=unit_spans if words is None else words,
        texts=texts,
        windows=np.concatenate(windows).astype(np.int64),
    )


def _preprocessed(table: Table, preprocessor: Any) -> Iterator[dict[str, np.ndarray]]:
    texts = ({"text": tf.constant(batch["text"])} for batch in table.batches(TEXTS_A_BATCH, ["text"]))
    # Texts were checked when they were read; they need not come back.
    return made_ahead(lambda text: {k: v for k, v in preprocessor(text).items() if k != "texts"}, texts)
