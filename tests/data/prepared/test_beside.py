"""What stands beside targets reaches training batches by name, row for row and token for token, and no others."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.batching.dataset import distribute
from kerasft.data.prepared.beside import PREFIX, for_model, with_beside
from kerasft.data.prepared.groups import GroupedPrepared
from kerasft.data.prepared.inputs_outputs import InputsOutputs
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError

LENGTHS = np.array([3, 1, 2])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
ROWS = np.arange(6.0).reshape(3, 2)  # beside each row
TOKENS = np.arange(12.0).reshape(6, 2)  # beside each token
DEVICE = tf.distribute.OneDeviceStrategy("/cpu:0")


def split(kind=Prepared, token_targets=False, **more) -> Prepared:
    targets = np.zeros(6 if token_targets else 3, np.int32)
    return kind(
        features={"token_ids": np.arange(1, 7, dtype=np.int32)},
        offsets=OFFSETS,
        full_lengths=LENGTHS,
        targets=targets,
        weights=np.ones(3, np.float32),
        pad_values={"token_ids": 0},
        longest=4,
        token_targets=token_targets,
        **more,
    )


def grouped() -> GroupedPrepared:
    each = split()
    rows = [np.zeros(6), np.zeros(3, np.int32), np.ones(3, np.float32)]
    offsets = np.arange(7)  # two texts of one token each
    return GroupedPrepared(each.features, offsets, *rows, each.pad_values, each.longest)


SPLITS = {
    "a row": (split, ROWS),
    "several texts": (grouped, ROWS),
    "a token": (lambda: split(token_targets=True), TOKENS),
    "a token of outputs": (lambda: split(InputsOutputs, True, encoder=encoder(), text_bytes=0), TOKENS),
}


def encoder() -> Prepared:
    side = split()
    return Prepared({"encoder_token_ids": side.features["token_ids"]}, *list(vars(side).values())[1:5],
                    {"encoder_token_ids": 0}, 4)  # fmt: skip


def first_batch(prepared, rows, **settings):
    return next(iter(distribute(prepared, lambda: itertools.repeat(np.array(rows)), DEVICE, **settings)))


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("static", [None, 4])
def test_it_comes_with_its_rows(name, static):
    make, values = SPLITS[name]
    prepared = with_beside(make(), {"teacher": values})
    features, targets, weights = first_batch(prepared, [2, 0, 1], parts=2, static_size=static, first_step=0)
    found = features[PREFIX + "teacher"].numpy()
    assert weights.numpy().tolist() == [1, 1, 1, 0]  # the fourth row fills the batch up, by row 0
    if not prepared.token_targets:
        np.testing.assert_array_equal(found, ROWS[[2, 0, 1, 0]])
        return
    assert found.shape == (*targets.shape, 2) and targets.shape == (4, 4 if static else 3)
    for row, number in enumerate([2, 0, 1, 0]):
        length = LENGTHS[number]
        np.testing.assert_array_equal(found[row, :length], TOKENS[OFFSETS[number] : OFFSETS[number] + length])
        assert not found[row, length:].any()


def test_a_split_that_is_measured_has_none_in_its_batches():
    features, _, _ = first_batch(with_beside(split(), {"teacher": ROWS}), [0])
    assert list(features) == ["token_ids"]


def test_the_model_reads_its_own_features_alone():
    assert for_model({"token_ids": 1, PREFIX + "teacher": 2}) == {"token_ids": 1}


def test_more_can_be_put_beside_and_the_split_stays_as_it_was():
    plain = split()
    two = with_beside(with_beside(plain, {"teacher": ROWS}), {"other": ROWS[:, 0]})
    assert list(two.at_step(3).beside) == ["teacher", "other"] and not plain.beside


@pytest.mark.parametrize(
    "make, values, message",
    [
        (split, ROWS[:2], "beside 'teacher': 2 entries, and the split has 3 rows; give one for each row"),
        (SPLITS["a token"][0], ROWS, "3 entries, and the split has 6 tokens; give one for each token"),
        (split, np.array(["a", "b", "c"]), "give an array of numbers"),
        (split, np.array(1.0), "0 axes; give an array of numbers"),
    ],
)
def test_what_does_not_belong_to_the_rows_is_refused(make, values, message):
    with pytest.raises(UserError, match=message):
        with_beside(make(), {"teacher": values})
