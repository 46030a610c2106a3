"""A split as a causal language model reads it: rows of tokens, and for each the token that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerasft.data.prepared.dialogues import Turn, dialogue_rows
from kerasft.data.prepared.packing import pack
from kerasft.data.prepared.prepared import TEXTS_A_BATCH, Prepared, TokenStore, tokenized
from kerasft.data.prepared.spoken import RenderedTurn
from kerasft.data.tables.table import Table
from kerasft.errors import UserError

NOTHING = np.empty((0, 2), np.int32)  # between documents: each begins with the token that parts them


@dataclass(frozen=True, kw_only=True)
class NextTokens(Prepared):
    """Rows of one or several documents; `targets` (tokens,) are the ids that follow, and a row weighs as many.

    `full_lengths` are those of the documents.

    Attributes:
        text_bytes: that the targets spell.
        cut: the share of documents that lost tokens; None: those whose row has fewer tokens than they have.
    """

    text_bytes: int
    cut: float | None

    @property
    def truncated(self) -> float:
        return super().truncated if self.cut is None else self.cut


def prepare_documents(table: Table, preprocessor: Any, across: bool) -> NextTokens:
    """Tokenizes every text of a table, in graph, and keeps full rows of them in temporary files.

    Each token of a document is said once, from what stands before it in its row, and so is its end. An empty text is
    no document.

    Args:
        table: rows with a column `text`, each a document.
        preprocessor: see `kerasft.models.preprocessing.prompt_preprocessor`.
        across: whether rows go on across documents.

    Raises:
        UserError: no text has a token.
    """
    full_lengths: list[int] = []

    def documents() -> Iterable[np.ndarray]:
        texts = (batch["text"] for batch in table.batches(TEXTS_A_BATCH, ["text"]))
        for ids in tokenized(texts, preprocessor.tokens):
            if len(ids):
                full_lengths.append(len(ids) + 1)
                yield preprocessor.pairs(ids)

    stored = _stored(pack(documents(), preprocessor.max_length, NOTHING, across), full_lengths, preprocessor, cut=0.0)
    return replace(stored, text_bytes=stored.text_bytes - preprocessor.opening_bytes * len(full_lengths))


def prepare_answers(table: Table, preprocessor: Any, render: Callable[[dict[str, str]], str]) -> NextTokens:
    """Tokenizes prompts and answers, each by itself as a server does, and keeps a row of both; answers alone are said.

    Args:
        table: rows with a column `output` and those of the prompt.
        preprocessor: see `kerasft.models.preprocessing.prompt_preprocessor`.
        render: a row -> its prompt.
    """
    full_lengths: list[int] = []

    def texts(of_row: Callable[[dict[str, str]], str]) -> Iterable[list[str]]:
        for batch in table.batches(TEXTS_A_BATCH):
            yield [of_row(dict(zip(batch, values))) for values in zip(*batch.values())]

    def rows() -> Iterable[np.ndarray]:
        prompts = tokenized(texts(render), preprocessor.tokens)
        answers = tokenized(texts(lambda row: row["output"]), preprocessor.behind)
        for prompt, answer in zip(prompts, answers):
            row, full = preprocessor.answered(prompt, answer)
            full_lengths.append(full)
            yield row

    return _stored(rows(), full_lengths, preprocessor, cut=None)


def prepare_dialogues(
    table: Table,
    preprocessor: Any,
    between: str,
    render_turns: Callable[[dict[str, Any]], list[RenderedTurn]],
    leading: str,
) -> NextTokens:
    """Tokenizes dialogues turn by turn and keeps rows of whole turns, in which answers alone are said.

    Args:
        table: rows, each a dialogue.
        preprocessor: see `kerasft.models.preprocessing.prompt_preprocessor`.
        between: what stands behind each turn.
        render_turns: a row -> its turns.
        leading: the role whose turn, where a dialogue begins with it, stands before each row.

    Raises:
        UserError: no answer has room in a row.
    """
    full_lengths: list[int] = []
    losers: list[bool] = []  # dialogues that lost an answer

    def dialogues() -> Iterable[list[RenderedTurn]]:
        for batch in table.batches(TEXTS_A_BATCH):
            for values in zip(*batch.values()):
                yield render_turns(dict(zip(batch, values)))

    def texts() -> Iterable[list[str]]:
        yield [between]
        for turns in dialogues():
            yield [text for turn in turns for text in (turn.opening, turn.closed)]

    def openings() -> Iterable[list[str]]:
        for turns in dialogues():
            yield [turn.opening for turn in turns]

    def rows() -> Iterable[np.ndarray]:
        ids = tokenized(texts(), preprocessor.behind)
        # Where a text begins in another way than it goes on, each turn may begin a row.
        opening_ids = tokenized(openings(), preprocessor.tokens) if preprocessor.opening_bytes else None
        after, nothing = next(ids), np.empty(0, np.int32)
        for dialogue in dialogues():
            turns = []
            for turn in dialogue:
                opening, closed = next(ids), next(ids)
                rest = nothing if turn.learnt else closed
                first = np.concatenate([opening if opening_ids is None else next(opening_ids), rest])
                read, targets = np.concatenate([opening, rest]), closed if turn.learnt else nothing
                turns.append(Turn(read, targets, after, first))
            full_lengths.append(sum(len(part) for turn in turns for part in turn[:3]))
            before = int(dialogue[0].role == leading)
            cut_rows, dropped = dialogue_rows(turns, before, preprocessor.prefix, preprocessor.max_length)
            losers.append(dropped > 0)
            yield from cut_rows

    stored = _stored(rows(), full_lengths, preprocessor, cut=None)
    return replace(stored, cut=sum(losers) / len(losers))


def _stored(rows: Iterable[np.ndarray], full_lengths: list[int], preprocessor: Any, cut: float | None) -> NextTokens:
    """(tokens, 2) of each row, what is read and what is to be said next; `full_lengths` are known once all are read."""
    store, lengths, target_counts = TokenStore(np.dtype(np.int32)), [], []
    for row in rows:
        store.append(row.astype(np.int32))
        lengths.append(len(row))
        target_counts.append(int((row[:, 1] >= 0).sum()))
    if not lengths:
        raise UserError("data: every text of a split is empty, or has no room in a row; a language model needs some")
    tokens = store.values().reshape(-1, 2)
    values = {"token_ids": tokens[:, 0], "padding_mask": np.broadcast_to(np.int32(1), (len(tokens),))}
    return NextTokens(
        features={name: values[name] for name in preprocessor.pad_values},
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        full_lengths=np.array(full_lengths, np.int32),
        targets=tokens[:, 1],
        weights=np.array(target_counts, np.float32),
        pad_values=preprocessor.pad_values,
        longest=preprocessor.max_length,
        token_targets=True,
        text_bytes=int(preprocessor.token_bytes[tokens[:, 1][tokens[:, 1] >= 0]].sum()),
        cut=cut,
    )
