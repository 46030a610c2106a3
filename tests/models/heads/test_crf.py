"""The chain's best path, partition and probabilities beside enumeration of every path."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.heads.crf import Chain, best_tags, iob2_rules, log_partition, path_score, tag_probabilities
from kerasft.models.heads.tag_loss import chain_loss, tag_loss


@pytest.fixture
def made():
    random = np.random.default_rng(3)
    tags, lengths = 3, np.array([4, 1, 0, 3], np.int32)
    emissions = random.normal(size=(4, 4, tags)).astype(np.float32)
    return (
        emissions,
        lengths,
        random.normal(size=(tags, tags)).astype(np.float32),
        random.normal(size=tags).astype(np.float32),
    )


def paths(emissions, length, transitions, start):
    """{path: score} of every path of one row."""
    scores = {}
    for path in itertools.product(range(emissions.shape[-1]), repeat=int(length)):
        score = sum(emissions[step, tag] for step, tag in enumerate(path)) + (start[path[0]] if path else 0.0)
        scores[path] = score + sum(transitions[a, b] for a, b in itertools.pairwise(path))
    return scores


def test_against_every_path(made):
    emissions, lengths, transitions, start = made
    best = tf.function(best_tags, autograph=False)(*made).numpy()
    total = tf.function(log_partition, autograph=False)(*made).numpy()
    shares = tf.function(tag_probabilities, autograph=False)(tf.constant(emissions), *made[1:]).numpy()
    assert best.shape == (4, 4)
    for row, length in enumerate(lengths):
        scores = paths(emissions[row], length, transitions, start)
        assert tuple(best[row, :length]) == max(scores, key=scores.get)
        everything = np.logaddexp.reduce(list(scores.values()))
        assert total[row] == pytest.approx(everything, abs=1e-4)
        for step, tag in itertools.product(range(length), range(3)):
            share = sum(np.exp(score - everything) for path, score in scores.items() if path[step] == tag)
            assert shares[row, step, tag] == pytest.approx(share, abs=1e-4)
        for path, score in list(scores.items())[:5]:
            tags = np.zeros((1, 4), np.int32)
            tags[0, :length] = path
            found = path_score(emissions[row : row + 1], tags, lengths[row : row + 1], transitions, start)
            assert float(found[0]) == pytest.approx(score, abs=1e-4)


def test_no_time_at_all():
    nothing = tf.zeros([2, 0, 3])
    rules = iob2_rules(1)
    assert best_tags(nothing, tf.zeros([2], tf.int32), *rules).shape == (2, 0)
    assert tag_probabilities(nothing, tf.zeros([2], tf.int32), *rules).shape == (2, 0, 3)


def test_iob2_is_kept_whatever_the_logits():
    emissions = tf.random.stateless_normal([64, 9, 7], [0, 1]) * 3.0
    tags = best_tags(emissions, tf.fill([64], 9), *iob2_rules(3)).numpy()
    before = np.concatenate([np.zeros((64, 1), np.int32), tags[:, :-1]], axis=1)
    inside = (tags > 0) & (tags % 2 == 0)
    assert inside.any() and ((before == tags) | (before == tags - 1))[inside].all()


def test_loss_is_the_mean_over_tokens_with_a_tag():
    logits = tf.random.stateless_normal([2, 4, 3], [1, 2])
    targets = tf.constant([[-1, 2, -1, 0], [-1, -1, -1, -1]])
    loss = tag_loss(targets, logits).numpy()
    each = -tf.nn.log_softmax(logits).numpy()
    assert loss == pytest.approx([(each[0, 1, 2] + each[0, 3, 0]) / 2, 0.0], abs=1e-6)


def test_chain_loss_skips_tokens_without_a_tag_and_learns_the_chain():
    chain = Chain()
    logits = tf.random.stateless_normal([2, 4, 3], [1, 2])
    chain(logits)
    chain.transitions.assign(np.random.default_rng(0).normal(size=(3, 3)))
    chain.start.assign([0.3, -0.2, 0.1])
    targets = tf.constant([[-1, 2, -1, 0], [-1, -1, -1, -1]])
    with tf.GradientTape() as tape:
        loss = chain_loss(targets, logits, chain)
    gradient = tape.gradient(loss, [chain.transitions.value, chain.start.value])
    emissions = logits.numpy()[0, [1, 3]]
    scores = paths(emissions, 2, chain.transitions.numpy(), chain.start.numpy())
    expected = (np.logaddexp.reduce(list(scores.values())) - scores[(2, 0)]) / 2
    assert loss.numpy() == pytest.approx([expected, 0.0], abs=1e-5)
    assert all(np.abs(each).sum() > 0 for each in gradient)
