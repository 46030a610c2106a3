"""Two sides of a row: each has its own lengths, its own padding, and targets on the output alone."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from kerasft.data.batching.dataset import signature_of
from kerasft.data.prepared.inputs_outputs import InputsOutputs, prepare_pairs
from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.data.tables.table import Table

PAIRS = [("abc", "wxyzuv"), ("", "q"), ("abcdefghij", ""), ("hé", "s")]


class Letters:
    """A token a letter: an input gets 1 in front, an output is read behind 2 and 3 and ends with 4."""

    inputs = ("input",)
    pad_values = {"token_ids": 9, "padding_mask": 0}
    max_length, max_output_length = 7, 6
    token_bytes = np.array([0] * 10 + [1] * 118 + [2] * 128)
    opening_bytes = 0

    def measured(self, columns):
        ids = tf.strings.unicode_decode(columns["input"], "UTF-8")
        lengths = tf.cast(ids.row_lengths(), tf.int32) + 1
        ids = tf.concat([tf.ones([ids.nrows(), 1], tf.int32), ids], 1)[:, : self.max_length]
        padded = ids.to_tensor(9)
        mask = tf.sequence_mask(ids.row_lengths(), tf.shape(padded)[1], tf.int32)
        return {"token_ids": padded, "padding_mask": mask}, lengths

    def tokens(self, text):
        ids = tf.strings.unicode_decode(text, "UTF-8")
        return ids.flat_values, ids.row_lengths()

    def taught(self, ids):
        whole = np.array([2, 3, *ids, 4])
        said = np.array([NO_TARGET, NO_TARGET, *ids, 4])
        return np.stack([whole[:-1], said[1:]], axis=1)[: self.max_output_length], len(whole) - 1


@pytest.fixture(scope="module")
def split() -> InputsOutputs:
    schema = pa.schema([("input", pa.large_string()), ("output", pa.large_string())])
    return prepare_pairs(Table.from_rows([dict(zip(schema.names, pair)) for pair in PAIRS], schema), Letters())


def test_lengths_of_both_sides(split):
    assert split.encoder.lengths.tolist() == [4, 1, 7, 3] and split.lengths.tolist() == [6, 3, 2, 3]
    assert split.tokens.tolist() == [10, 4, 9, 6]
    assert split.weights.tolist() == [5, 2, 1, 2]  # of the first output the last letter and the end were cut off
    assert [side.full_lengths.tolist() for side in split.sides] == [[4, 1, 11, 3], [8, 3, 2, 3]]
    assert [side.truncated for side in split.sides] == [0.25, 0.25]  # the third row's input, the first one's output
    assert split.text_bytes == len("wxyzu" + "q" + "s")


def test_a_batch_is_padded_side_by_side(split):
    features, targets, weights = split.batch(np.array([1, 3, -1]))
    assert features["encoder_token_ids"].tolist() == [[1, 9, 9, 9], [1, 104, 233, 9], [1, 97, 98, 99]]
    assert features["encoder_padding_mask"].sum(1).tolist() == [1, 3, 4]
    assert features["decoder_token_ids"][:, :4].tolist()[:2] == [[2, 3, 113, 9], [2, 3, 115, 9]]
    assert targets.shape == features["decoder_token_ids"].shape == features["decoder_padding_mask"].shape
    assert targets.tolist()[:2] == [[-1, 113, 4, -1, -1, -1], [-1, 115, 4, -1, -1, -1]]
    assert weights.tolist() == [2, 2, 0]  # a row that only fills a batch up counts nothing


def test_each_side_has_one_shape_of_its_own(split):
    features, targets, _ = split.batch(np.array([1]), static=True)
    shapes = {name: values.shape for name, values in features.items()}
    assert shapes["encoder_token_ids"] == (1, 7) and shapes["decoder_token_ids"] == targets.shape == (1, 6)
    signature, target, _ = signature_of(split, 1, None)
    assert {name: tuple(spec.shape) for name, spec in signature.items()} == shapes and target.shape == (1, 6)
    beside = split.batch(np.array([1]), padded_with=np.array([1, 2]))[0]
    assert beside["encoder_token_ids"].shape == (1, 7)  # as long as the longest of other replicas


def test_rows_go_by_both_sides():
    short = SimpleNamespace(lengths=np.array([3, 3]))
    rows = InputsOutputs.tokens.func(SimpleNamespace(encoder=short, lengths=np.array([1, 9])))
    assert rows.tolist() == [4, 12]
