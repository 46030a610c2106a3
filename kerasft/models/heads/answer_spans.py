"""Logits of windows -> the best answers with offsets into the context, in graph, for evaluation and serving alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from kerasft.models.preprocessing.question_preprocessor import NOWHERE
from kerasft.models.shapes import static_size

# An earlier window wins by this much. Windows of a text that repeats itself have the same logits but for rounding,
# which would otherwise decide, differently in every batch.
WINDOW_COST = 1e-4


class Spans(NamedTuple):
    """The best stretches of each context, the best first.

    Attributes:
        starts, ends: (batch, n) int32 code points, NOWHERE beyond what the context has.
        scores: (batch, n) float32, the logit of the first token plus that of the last; -inf where there is none.
        null: (batch,) float32 the score of "no answer": the least of the windows', as in BERT's run_squad.py.
    """

    starts: tf.Tensor
    ends: tf.Tensor
    scores: tf.Tensor
    null: tf.Tensor


# AutoGraph has nothing to convert in this file, and takes longer than the tracing itself.
@tf.autograph.experimental.do_not_convert
def best_spans(logits: tf.Tensor, features: Mapping[str, tf.Tensor], count: int, longest: int) -> Spans:
    """All pairs of a first and a last token are compared, not only those of the best first and last ones.

    A span is its window's that answers for its first token (the `max context` rule), so that it comes once.

    Args:
        logits: (windows, length, 2) float32.
        features: `starts`, `ends`, `owned`, `null` and `windows` of `QuestionPreprocessor`.
        count: how many spans.
        longest: tokens of a span.
    """
    lowest = tf.constant(float("-inf"))
    possible = features["starts"] >= 0
    first = tf.where(possible & features["owned"], logits[..., 0], lowest)  # (windows, length)
    last = tf.where(possible, logits[..., 1], lowest)
    windows, length = tf.shape(last)[0], tf.shape(last)[1]
    reach = tf.range(length)[:, tf.newaxis] + tf.range(longest)  # (length, longest)
    # (windows, length, longest) score of each last token within reach of each first
    ends = tf.gather(tf.pad(last, [[0, 0], [0, longest - 1]], constant_values=float("-inf")), reach, axis=1)
    scores = tf.reshape(first[:, :, tf.newaxis] + ends, [windows, length * longest])
    # A short window has fewer than `count`.
    scores, index = tf.math.top_k(tf.pad(scores, [[0, 0], [0, count]], constant_values=float("-inf")), count)
    opening = tf.minimum(index // longest, length - 1)  # (windows, count)
    closing = tf.minimum(opening + index % longest, length - 1)
    bounds = (tf.gather(features[name], at, batch_dims=1) for name, at in (("starts", opening), ("ends", closing)))
    number = tf.cast(tf.ragged.range(features["windows"]).flat_values, tf.float32)
    scores = _by_text(scores - WINDOW_COST * number[:, tf.newaxis], features["windows"], lowest)
    scores, order = tf.math.top_k(scores, count)  # (batch, count)
    starts, ends = (
        tf.gather(_by_text(each, features["windows"], tf.constant(NOWHERE)), order, batch_dims=1) for each in bounds
    )
    none = scores == lowest
    null = tf.reduce_sum(tf.where(features["null"], tf.reduce_sum(logits, axis=-1), 0.0), axis=1)  # (windows,)
    rows = tf.size(features["windows"])
    null = tf.math.unsorted_segment_min(null, tf.repeat(tf.range(rows), features["windows"]), rows)
    return Spans(tf.where(none, NOWHERE, starts), tf.where(none, NOWHERE, ends), scores, null)


def _by_text(values: tf.Tensor, windows: tf.Tensor, default: tf.Tensor) -> tf.Tensor:
    """(windows, n) -> (batch, most windows of a text * n)."""
    count = static_size(values, 1)
    rows = tf.RaggedTensor.from_row_lengths(values, windows, validate=False).to_tensor(
        default, shape=[None, None, count]
    )
    return tf.reshape(rows, [tf.shape(rows)[0], tf.shape(rows)[1] * count])


@tf.autograph.experimental.do_not_convert
def choose(spans: Spans, threshold: float | None) -> dict[str, tf.Tensor]:
    """The best spans -> places and probabilities of the answer and of its rivals.

    Args:
        spans: of the batch.
        threshold: there is no answer where the score of "no answer" is more than this above the best span's; None:
            every question has one, if its context has a token.

    Returns:
        `start`, `end` (batch,) int32, NOWHERE for no answer; `score` (batch,) float32, the probability of what was
        answered among the spans and, with a threshold, "no answer"; `starts`, `ends`, `scores` (batch, n) of the
        spans, with 0 where there is none.
    """
    null = tf.fill(tf.shape(spans.null), float("-inf")) if threshold is None else spans.null
    scores = tf.concat([spans.scores, null[:, tf.newaxis]], axis=1)  # (batch, n + 1)
    # finite where all are -inf, so that the difference is a number
    peak = tf.maximum(tf.reduce_max(scores, axis=1, keepdims=True), scores.dtype.min)
    odds = tf.exp(scores - peak)
    probabilities = odds / tf.maximum(tf.reduce_sum(odds, axis=1, keepdims=True), 1e-9)
    refused = spans.starts[:, 0] == NOWHERE
    if threshold is not None:
        refused |= spans.null - spans.scores[:, 0] > threshold
    return {
        "start": tf.where(refused, NOWHERE, spans.starts[:, 0]),
        "end": tf.where(refused, NOWHERE, spans.ends[:, 0]),
        "score": tf.where(refused, probabilities[:, -1], probabilities[:, 0]),
        "starts": spans.starts,
        "ends": spans.ends,
        "scores": probabilities[:, :-1],
    }


@tf.autograph.experimental.do_not_convert
def answers(choice: Mapping[str, tf.Tensor], texts: tf.Tensor) -> dict[str, tf.Tensor]:
    """What `choose` gives and (batch,) contexts in valid UTF-8 -> the same with `answer` and `answers`, the texts.

    An answer is the context's own characters; no answer is "".
    """
    count = choice["starts"].shape[1]
    best = _cut_out(texts, choice["start"], choice["end"])
    flat = (tf.reshape(choice[name], [-1]) for name in ("starts", "ends"))  # (batch * count,)
    rivals = tf.reshape(_cut_out(tf.repeat(texts, count), *flat), tf.shape(choice["starts"]))
    return {"answer": best, **choice, "answers": rivals}


def _cut_out(texts: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    exists = starts >= 0
    begin = tf.where(exists, starts, 0)
    return tf.strings.substr(texts, begin, tf.where(exists, ends - begin, 0), "UTF8_CHAR")
