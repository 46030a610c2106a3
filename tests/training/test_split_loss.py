"""The loss of a split is the mean of its rows' losses, however rows are padded and put together."""

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.models.heads.tag_loss import tag_loss
from kerasft.training import split_loss as module
from kerasft.training.split_loss import split_loss


class Tags:
    def loss_sum(self, targets, logits, weights):
        return tf.reduce_sum(tag_loss(targets, logits) * weights)


def make(lengths, seed=0):
    random, offsets = np.random.default_rng(seed), np.concatenate([[0], np.cumsum(lengths)])
    tokens = int(offsets[-1])
    split = Prepared(
        features={"token_ids": np.ones(tokens, np.int32)},
        offsets=offsets,
        full_lengths=np.asarray(lengths),
        targets=random.integers(-1, 3, tokens).astype(np.int32),
        weights=np.ones(len(lengths), np.float32),
        pad_values={"token_ids": 0},
        longest=16,
        token_targets=True,
    )
    return split, random.normal(size=(tokens, 3)).astype(np.float32)


def test_rows_of_tokens(monkeypatch):
    split, logits = make([3, 7, 1, 5])
    each = []
    for start, end in zip(split.offsets, split.offsets[1:]):
        row = slice(start, end)
        each.append(float(tag_loss(tf.constant(split.targets[None, row]), tf.constant(logits[None, row]))[0]))
    for rows in (1, 3, 100):
        monkeypatch.setattr(module, "ROWS", rows)
        np.testing.assert_allclose(split_loss(Tags(), split, logits, {}), np.mean(each), rtol=1e-5)


def test_what_the_metrics_say_is_taken():
    assert split_loss(None, None, None, {"log_loss": 0.25}) == 0.25
    assert split_loss(None, None, None, {"log_loss": None}) is None
