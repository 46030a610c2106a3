"""Documents in rows: each token, and the end of each document, is to be said once."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from kerasft.data.prepared.next_tokens import prepare_answers, prepare_documents
from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.data.tables.table import Table
from kerasft.errors import UserError

BEGIN, END = 1, 2


def letters(text):
    """A token a byte."""
    return tf.cast(tf.strings.unicode_decode(text, "UTF-8"), tf.int32)


def tokens(text):
    ids = letters(text)
    return ids.flat_values, ids.row_lengths()


def pairs(ids):
    return np.stack([[BEGIN, *ids], [*ids, END]], axis=1)


WIDTHS = np.array([0] * 3 + [1] * 125 + [2] * 128)  # bytes of each code point
PADS = {"token_ids": 0, "padding_mask": 0}
READER = SimpleNamespace(
    tokens=tokens, behind=tokens, pairs=pairs, max_length=8, pad_values=PADS, token_bytes=WIDTHS, opening_bytes=0
)


def prepared(texts, across=True):
    return prepare_documents(Table.from_rows([{"text": text} for text in texts], SCHEMA), READER, across)


SCHEMA = pa.schema([("text", pa.large_string())])
TEXTS = ["abcdefghij", "", "k", "lmnop", "", "qrstuvwxyzé"]


def token_bytes(values) -> str:
    return "".join({BEGIN: "<", END: ">"}.get(value, chr(value)) for value in values)


def test_rows_are_full_and_hold_the_documents_in_order():
    split = prepared(TEXTS)
    assert token_bytes(split.features["token_ids"]) == "<abcdefghij<k<lmnop<qrstuvwxyzé"
    assert token_bytes(split.targets) == "abcdefghij>k>lmnop>qrstuvwxyzé>"
    assert split.lengths.tolist() == [8, 8, 8, 7] == split.weights.tolist()
    assert split.full_lengths.tolist() == [11, 2, 6, 12] and split.truncated == 0
    assert split.text_bytes == len("".join(TEXTS).encode()) == 28


def test_rows_of_one_document_each():
    split = prepared(TEXTS, across=False)
    rows = np.split(np.array(split.features["token_ids"]), split.offsets[1:-1])
    assert [token_bytes(row) for row in rows] == ["<abcdefg", "hij", "<k", "<lmnop", "<qrstuvw", "xyzé"]
    rows = np.split(np.array(split.targets), split.offsets[1:-1])
    assert [token_bytes(row) for row in rows] == ["abcdefgh", "ij>", "k>", "lmnop>", "qrstuvwx", "yzé>"]


def test_a_batch_pads_rows_and_says_nothing_there():
    features, targets, weights = prepared(TEXTS, across=False).batch(np.array([1, 5, -1]))
    assert features["token_ids"].shape == targets.shape == (3, 8)
    assert token_bytes(features["token_ids"][0][:3]) == "hij" and features["padding_mask"].sum(1).tolist() == [3, 4, 8]
    assert targets[0].tolist() == [*map(ord, "ij"), END, *[NO_TARGET] * 5]
    assert weights.tolist() == [3, 4, 0]


ANSWERS = pa.schema([("input", pa.large_string()), ("output", pa.large_string()), ("where", pa.string())])


def answered(prompt, answer):
    """As `PromptPreprocessor.answered`, without the cuts."""
    ids, first = np.array([*prompt, *answer, END]), len(prompt)
    return np.stack([ids[:-1], np.where(np.arange(1, len(ids)) < first, NO_TARGET, ids[1:])], axis=1), len(ids) - 1


def test_answers_alone_are_to_be_said():
    rows = [("ab", "XYé"), ("abc", ""), ("f", "Z")]
    table = Table.from_rows([{"input": i, "output": o, "where": ""} for i, o in rows], ANSWERS)
    reader = SimpleNamespace(**{**vars(READER), "answered": answered})
    split = prepare_answers(table, reader, lambda row: f"{row['input']}?")
    assert [token_bytes(row) for row in np.split(np.array(split.features["token_ids"]), split.offsets[1:-1])] == [
        "ab?XYé", "abc?", "f?Z"
    ]  # fmt: skip
    said = [row.tolist() for row in np.split(np.array(split.targets), split.offsets[1:-1])]
    assert said[0] == [NO_TARGET, NO_TARGET, *map(ord, "XYé"), END]
    assert said[1] == [NO_TARGET] * 3 + [END] and said[2] == [NO_TARGET, ord("Z"), END]
    assert split.weights.tolist() == [4, 1, 2] and split.text_bytes == 5 and split.truncated == 0
    _, _, weights = split.batch(np.array([0, -1]))
    assert weights.tolist() == [4, 0]


def test_a_split_without_a_token_is_refused():
    with pytest.raises(UserError, match="every text of a split is empty"):
        prepared(["", ""])
