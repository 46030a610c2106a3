"""Logits of several models for the same texts -> those of their ensemble, which decode as those of one model do.

What is averaged are probabilities: the mean of logits is another thing, in which one model that is very sure outvotes
the rest. Of equal models the result is the logits of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

# Of an answer's first and last token, a token beside the context: no part of the probabilities.
OUTSIDE = -1e9
TIE = 1e-3  # what the mean probability counts beside the votes


def of_classes(members: Sequence[tf.Tensor], weights: Sequence[float], axis: int = -1) -> tf.Tensor:
    """(..., classes) each -> (..., classes): the logarithm of the weighted mean of softmax, on the members' own scale.

    Args:
        members: logits of each.
        weights: that sum to 1.
        axis: of the classes.
    """
    scales = [tf.reduce_logsumexp(_float(logits), axis, keepdims=True) for logits in members]
    shares = [tf.math.log(weight) + _float(logits) - scale for logits, scale, weight in zip(members, scales, weights)]
    mean = tf.reduce_logsumexp(tf.stack(shares), 0)
    return mean + tf.add_n([weight * scale for scale, weight in zip(scales, weights)])


def of_labels(members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    """(batch, labels) each -> (batch, labels): the logit of the weighted mean of sigmoid, each label by itself."""
    yes = [tf.math.log(weight) + tf.math.log_sigmoid(_float(each)) for each, weight in zip(members, weights)]
    no = [tf.math.log(weight) + tf.math.log_sigmoid(-_float(each)) for each, weight in zip(members, weights)]
    return tf.reduce_logsumexp(tf.stack(yes), 0) - tf.reduce_logsumexp(tf.stack(no), 0)


def of_scores(members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    """Numbers, or scores of a chain: the weighted mean."""
    return tf.add_n([weight * _float(each) for each, weight in zip(members, weights)])


def votes_of_classes(members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    """(..., classes) each -> (..., classes): the logarithm of the share of votes; a tie goes to the higher mean."""
    classes = tf.shape(members[0])[-1]
    votes = [w * tf.one_hot(tf.argmax(each, -1), classes) for each, w in zip(members, weights)]
    mean = tf.add_n([w * tf.nn.softmax(_float(each)) for each, w in zip(members, weights)])
    return tf.math.log((1.0 - TIE) * tf.add_n(votes) + TIE * mean)


def disagreement(members: Sequence[tf.Tensor], weights: Sequence[float], one_of_many: bool) -> tf.Tensor:
    """(batch, ...) -> (batch,): how much the members' probabilities differ, in nats; 0: not at all.

    The mutual information of answer and member (Houlsby et al. 2011, arXiv:1112.5745): the entropy of the mean less the
    mean entropy. Of tokens and labels, that of the one where it is largest.
    """
    each = []
    for logits in members:
        logits = _float(logits)
        each.append(tf.nn.softmax(logits) if one_of_many else tf.stack([tf.sigmoid(logits), tf.sigmoid(-logits)], -1))
    return apart_by(each, weights)


def apart_by(each: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    """The same of probabilities (batch, ..., classes)."""
    mean = tf.add_n([weight * p for p, weight in zip(each, weights)])
    apart = _entropy(mean) - tf.add_n([weight * _entropy(p) for p, weight in zip(each, weights)])
    apart = tf.maximum(apart, 0.0)  # (batch,), (batch, length) or (batch, labels)
    return tf.reduce_max(tf.reshape(apart, [tf.shape(apart)[0], -1]), -1)


def of_answers(members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """(windows, length, 2) each -> (windows, length, 2): of the first token and of the last."""
    return of_classes(_real(members, features), weights, axis=1)


def disagreement_of_answers(
    members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
) -> tf.Tensor:
    """(windows, length, 2) each -> (windows,): the larger of the first token's and the last one's."""
    turned = [tf.transpose(each, [0, 2, 1]) for each in _real(members, features)]  # (windows, 2, length)
    return disagreement(turned, weights, one_of_many=True)


def _real(members: Sequence[tf.Tensor], features: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
    """Logits of each member in which padding has no share of the probabilities."""
    real = tf.cast(features["padding_mask"], tf.bool)[..., tf.newaxis]
    return [tf.where(real, _float(logits), OUTSIDE) for logits in members]


def spread(members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    """(batch, 1) numbers each -> (batch,): their standard deviation."""
    stacked = tf.stack([_float(each)[:, 0] for each in members])
    share = tf.constant(weights, tf.float32)[:, None]
    mean = tf.reduce_sum(share * stacked, 0)
    return tf.sqrt(tf.reduce_sum(share * tf.square(stacked - mean), 0))


def _entropy(probabilities: tf.Tensor) -> tf.Tensor:
    return -tf.reduce_sum(tf.math.xlogy(probabilities, probabilities), -1)


def _float(logits: tf.Tensor) -> tf.Tensor:
    return tf.cast(logits, tf.float32)
