"""A split of questions as windows that the model reads, with the places that answers are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.ahead import made_ahead
from kerasft.data.prepared.prepared import TEXTS_A_BATCH, Prepared, TokenStore
from kerasft.data.tables.table import Table

TargetsOf = Callable[[Mapping[str, tf.Tensor], tf.Tensor, tf.Tensor], tf.Tensor]
TOKEN_FIELDS = {"starts": np.int32, "ends": np.int32, "owned": np.bool_, "null": np.bool_}


@dataclass(frozen=True, kw_only=True)
class PreparedQuestions(Prepared):
    """Windows of contexts, each with its question: rows are windows, targets are those of its tokens.

    Attributes:
        token_fields: name -> (tokens,) `starts`, `ends`, `owned` and `null` of `QuestionPreprocessor`.
        windows: (questions,) int64 how many windows each has.
        cut: the share of questions that lost tokens.
        unreachable: how many questions have answers, but none that begins and ends where tokens do.
        table: the questions; `starts` and `ends` of its rows are those of the answers.
    """

    token_fields: Mapping[str, np.ndarray]
    windows: np.ndarray
    cut: float
    unreachable: int
    table: Table

    @property
    def rows_of_texts(self) -> np.ndarray:
        return self.windows

    @property
    def truncated(self) -> float:
        """The share of rows that lost tokens: of the context none is lost."""
        return self.cut


def prepare_questions(table: Table, preprocessor: Any, learnt: np.ndarray, targets_of: TargetsOf) -> PreparedQuestions:
    """Tokenizes every row of a table, in graph, and keeps its windows in temporary files.

    Args:
        table: rows with `question`, `context`, `starts` and `ends`.
        preprocessor: see `kerasft.models.preprocessing.question_preprocessor`.
        learnt: (rows, 2) int32 start and end of the answer that the model learns, -1 and -1 for none.
        targets_of: features, (batch,) starts and (batch,) ends -> (windows, longest) int32, in graph.
    """
    kinds = dict.fromkeys([*preprocessor.pad_values, "targets"], np.int32) | TOKEN_FIELDS
    stores = {name: TokenStore(np.dtype(kind)) for name, kind in kinds.items()}
    lengths, full_lengths, windows, cut = [], [], [], []
    unreachable = 0
    batches = table.batches(TEXTS_A_BATCH, ["starts", "ends"])
    for batch, gold in zip(_preprocessed(table, preprocessor, learnt, targets_of), batches):
        mask = batch["padding_mask"].astype(bool)
        for name, store in stores.items():
            store.append(batch[name][mask])
        lengths.append(mask.sum(-1))
        for values, name in ((full_lengths, "lengths"), (windows, "windows"), (cut, "cut")):
            values.append(batch[name])
        unreachable += _unreachable(batch, gold)
    values = {name: store.values() for name, store in stores.items()}
    rows = sum(map(len, lengths))
    return PreparedQuestions(
        features={name: values[name] for name in preprocessor.pad_values},
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64),
        full_lengths=np.concatenate(full_lengths),
        targets=values["targets"],
        weights=np.ones(rows, np.float32),
        pad_values=preprocessor.pad_values,
        longest=preprocessor.max_length,
        token_targets=True,
        token_fields={name: values[name] for name in TOKEN_FIELDS},
        windows=np.concatenate(windows),
        cut=float(np.concatenate(cut).mean()),
        unreachable=unreachable,
        table=table,
    )


def _preprocessed(
    table: Table, preprocessor: Any, learnt: np.ndarray, targets_of: TargetsOf
) -> Iterator[dict[str, np.ndarray]]:
    names = list(preprocessor.inputs)

    def rows() -> Iterator[tuple[dict[str, tf.Tensor], tf.Tensor]]:
        first = 0
        for batch in table.batches(TEXTS_A_BATCH, names):
            count = len(batch[names[0]])
            yield {name: tf.constant(batch[name]) for name in names}, tf.constant(learnt[first : first + count])
            first += count

    def windows(batch: tuple[dict[str, tf.Tensor], tf.Tensor]) -> dict[str, tf.Tensor]:
        columns, spans = batch
        features = preprocessor(columns)
        # Texts were checked when they were read; they need not come back.
        targets = targets_of(features, spans[:, 0], spans[:, 1])
        return {name: value for name, value in features.items() if name != "texts"} | {"targets": targets}

    return made_ahead(windows, rows())


def _unreachable(batch: Mapping[str, np.ndarray], gold: Mapping[str, list[list[int]]]) -> int:
    """Questions of a batch with answers of which none begins and ends where tokens do."""
    bounds = np.concatenate([[0], np.cumsum(batch["windows"])])
    count = 0
    for first, end, starts, ends in zip(bounds, bounds[1:], gold["starts"], gold["ends"]):
        of_tokens = [batch[name][first:end][batch["owned"][first:end]] for name in ("starts", "ends")]
        hit = np.isin(starts, of_tokens[0]) & np.isin(ends, of_tokens[1])
        count += bool(starts) and not hit.any()
    return count
