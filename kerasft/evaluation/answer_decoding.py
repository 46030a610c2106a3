"""Logits of a whole split -> answers, by the decoder that is served."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.questions import TOKEN_FIELDS, PreparedQuestions
from kerasft.evaluation.squad import answer_scores
from kerasft.models.heads.answer_spans import Spans, best_spans, choose
from kerasft.models.preprocessing.question_preprocessor import NOWHERE

WINDOWS_AT_ONCE = 256


class Decoded(NamedTuple):
    """The answers of a split, (questions, ...) NumPy arrays.

    Attributes:
        answers: what `answer_spans.choose` gives.
        gaps: (questions,) float32 the score of "no answer" less that of the best span, inf where there is no span.
    """

    answers: dict[str, np.ndarray]
    gaps: np.ndarray


def decode_split(
    split: PreparedQuestions, logits: np.ndarray, count: int, longest: int, threshold: float | None
) -> Decoded:
    """The answers to every question.

    Args:
        split: the windows.
        logits: (tokens, 2) of all windows.
        count, longest: see `best_spans`.
        threshold: see `choose`.
    """
    decode = _decoder(count, longest)
    parts: list[Spans] = []
    first = np.concatenate([[0], np.cumsum(split.windows)])  # window of each question
    for part in _parts(split.windows):
        rows = slice(first[part.start], first[part.stop])
        tokens = slice(split.offsets[rows.start], split.offsets[rows.stop])
        token_fields = {name: split.token_fields[name][tokens] for name in TOKEN_FIELDS}
        parts.append(decode(logits[tokens], token_fields, split.lengths[rows], split.windows[part]))
    spans = Spans(*(tf.concat(values, 0) for values in zip(*parts)))
    answers = {name: value.numpy() for name, value in choose(spans, threshold).items()}
    return Decoded(answers, (spans.null - spans.scores[:, 0]).numpy())


@functools.lru_cache  # splits are decoded after each epoch; the graph is the same
def _decoder(count: int, longest: int) -> Callable[..., Spans]:
    """`best_spans` of windows without padding: (tokens, 2) logits, places, (windows,) lengths, (questions,) windows."""
    defaults = {"starts": NOWHERE, "ends": NOWHERE, "owned": False, "null": False}
    signature = [
        tf.TensorSpec([None, 2]),
        {name: tf.TensorSpec([None], kind) for name, kind in TOKEN_FIELDS.items()},
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.int64),
    ]

    @tf.function(input_signature=signature, autograph=False)
    def decode(logits: tf.Tensor, token_fields: dict[str, tf.Tensor], lengths: tf.Tensor, windows: tf.Tensor) -> Spans:
        def padded(values: tf.Tensor, default: float | int | bool) -> tf.Tensor:
            rows = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
            shape = [None, None, *values.shape[1:]]
            return rows.to_tensor(tf.cast(default, values.dtype), shape=shape)

        features = {name: padded(values, defaults[name]) for name, values in token_fields.items()}
        return best_spans(padded(logits, 0.0), features | {"windows": windows}, count, longest)

    return decode


def _parts(windows: np.ndarray) -> Iterator[slice]:
    """Questions that are decoded together: few enough that a long context does not need all memory."""
    start = total = 0
    for number, more in enumerate(windows):
        if total and total + more > WINDOWS_AT_ONCE:
            yield slice(start, number)
            start, total = number, 0
        total += more
    yield slice(start, len(windows))


def split_scores(
    split: PreparedQuestions, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers to every question -> (questions,) bool exact match, float F1, and bool whether it has an answer.

    Args:
        split: has the contexts and the true answers.
        starts, ends: (questions,) code points; NOWHERE for no answer.
    """
    scores, answerable, row = [], [], 0
    for batch in split.table.batches(1024, ["context", "starts", "ends"]):
        for context, *gold in zip(*batch.values()):
            truths = [context[a:b] for a, b in zip(*gold)]
            answer = context[starts[row] : ends[row]] if starts[row] >= 0 else ""
            scores.append(answer_scores(answer, truths))
            answerable.append(bool(truths))
            row += 1
    exact, f1 = zip(*scores)
    return np.asarray(exact), np.asarray(f1), np.asarray(answerable)
