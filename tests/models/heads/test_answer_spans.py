"""Spans beside those of a plain loop, the loss beside hand-computed cases, and the model with Keras' own `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.heads.answer_spans import NOWHERE, WINDOW_COST, answers, best_spans, choose
from kerasft.models.heads.answer_targets import OUTSIDE, answer_loss
from kerasft.models.heads.question_answerer import QuestionAnswerer


def random_windows(seed):
    """Features of three texts with 1, 3 and 2 windows of 9 tokens, and logits; the last text has no token."""
    random = np.random.default_rng(seed)
    windows = np.array([1, 3, 2])
    starts = np.full((6, 9), NOWHERE, np.int32)
    starts[:, 3:8] = np.arange(5) * 2 + np.array([0, 0, 8, 16, 0, 0])[:, None]
    starts[4:] = NOWHERE
    features = {
        "starts": starts,
        "ends": np.where(starts >= 0, starts + 1, NOWHERE).astype(np.int32),
        "owned": (starts >= 0) & (random.random((6, 9)) < 0.7),
        "null": np.arange(9) == np.zeros((6, 1)),
        "windows": windows,
    }
    return random.normal(0, 3, (6, 9, 2)).astype(np.float32), features


def plain_spans(logits, features, text, longest):
    """Every span of a text with its score, the best first."""
    of_text = np.repeat(np.arange(3), features["windows"]) == text
    found = []
    for number, window in enumerate(np.flatnonzero(of_text)):
        for i in range(9):
            for j in range(i, min(9, i + longest)):
                start, end = features["starts"][window, i], features["ends"][window, j]
                if features["owned"][window, i] and start >= 0 and end >= 0:
                    score = logits[window, i, 0] + logits[window, j, 1] - WINDOW_COST * number
                    found.append((score, start, end))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("count, longest", [(1, 1), (4, 3), (40, 20)])
def test_best_spans_are_those_of_a_plain_loop(count, longest):
    logits, features = random_windows(count)
    spans = tf.function(best_spans, autograph=False)(tf.constant(logits), features, count, longest)
    for text in range(3):
        expected = plain_spans(logits, features, text, longest)[:count]
        found = [tuple(values[text].numpy() for values in (spans.scores, spans.starts, spans.ends))]
        scores, starts, ends = found[0]
        assert list(zip(starts, ends))[: len(expected)] == [(a, b) for _, a, b in expected]
        np.testing.assert_allclose(scores[: len(expected)], [score for score, *_ in expected], atol=1e-5)
        assert np.isinf(scores[len(expected) :]).all() and (starts[len(expected) :] == NOWHERE).all()
    null = [logits[rows, 0].sum(-1).min() for rows in ([0], [1, 2, 3], [4, 5])]
    np.testing.assert_allclose(spans.null, null, atol=1e-5)


def test_of_windows_alike_the_first_wins():
    logits, features = random_windows(0)
    logits[2:4], features["owned"][1:4] = logits[1], features["starts"][1:4] >= 0
    logits[2:4] += 1e-6  # what rounding may do
    spans = best_spans(tf.constant(logits), features, 3, 4)
    assert spans.starts[1].numpy().tolist() == sorted(spans.starts[1].numpy())


def test_no_answer_by_a_threshold():
    logits, features = random_windows(1)
    spans = best_spans(tf.constant(logits), features, 4, 3)
    texts = tf.constant(["0123456789é", "北京" * 20, ""])
    always = answers(choose(spans, None), texts)
    assert always["start"].numpy().tolist() == [*spans.starts[:2, 0].numpy(), NOWHERE]
    assert always["score"][2] == 0 and always["answer"][2] == b""
    np.testing.assert_allclose(tf.reduce_sum(always["scores"], 1), [1, 1, 0], atol=1e-6)
    gaps = (spans.null - spans.scores[:, 0]).numpy()
    assert np.isinf(gaps[2])
    low, high = np.sort(gaps[:2])
    some = answers(choose(spans, float(low + high) / 2), texts)
    assert (some["start"].numpy() == NOWHERE).tolist() == [*(gaps[:2] == high), True]
    refused = int(gaps[1] == high)
    scores = np.append(spans.scores[refused], spans.null[refused])
    odds = np.exp(scores - scores.max())
    assert float(some["score"][refused]) == pytest.approx(odds[-1] / odds.sum(), abs=1e-5)
    assert some["score"][2] == 1  # there was nothing else to say
    assert some["answer"][refused] == b"" and some["answers"][refused, 0] != b""
    for text, row in zip(texts.numpy(), range(3)):
        for found, a, b in zip(*(some[name][row].numpy() for name in ("answers", "starts", "ends"))):
            assert found.decode() == (text.decode()[a:b] if a >= 0 else "")


def test_loss_by_hand():
    targets = np.array([[0, 1, OUTSIDE, 2], [3, 0, OUTSIDE, OUTSIDE]])
    logits = np.random.default_rng(0).normal(size=(2, 4, 2)).astype(np.float32)
    first, last = logits[0, [0, 1, 3], 0], logits[0, [0, 1, 3], 1]
    one = (np.log(np.exp(first).sum()) - first[1] + np.log(np.exp(last).sum()) - last[2]) / 2
    null = [np.log(np.exp(logits[1, :2, side]).sum()) - logits[1, 0, side] for side in (0, 1)]
    np.testing.assert_allclose(answer_loss(targets, tf.constant(logits)), [one, np.mean(null)], rtol=1e-5)


@pytest.mark.long
def test_it_trains_with_fit_and_answers(tiny_preset):
    answerer = QuestionAnswerer.from_preset(str(tiny_preset), max_length=24, stride=4, longest_question=8)
    random = np.random.default_rng(0)
    words = "goal match team score coach".split()
    rows = {"question": [], "context": [], "start": [], "end": []}
    for _ in range(64):  # the answer is the bank, and where there is no bank there is none
        context = random.choice(words, 12).tolist()
        place = int(random.integers(0, 18))
        context[place : place + 1] = ["bank"] if place < 12 else []
        text = " ".join(context)
        start = text.find("bank")
        rows["question"].append("a bank")
        rows["context"].append(text)
        rows["start"].append(start)
        rows["end"].append(start + 4 if start >= 0 else -1)
    data = tf.data.Dataset.from_tensor_slices(rows).batch(16).map(answerer.examples).cache()
    # how many windows a batch has depends on its texts, and XLA compiles each shape anew
    answerer.compile(optimizer=keras.optimizers.Adam(1e-2), loss=answer_loss, jit_compile=False)
    losses = answerer.fit(data, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 4
    found = answerer.answer(rows["question"][:20], rows["context"][:20], threshold=0.0)
    right = sum(a == b for a, b in zip(found["start"].numpy(), rows["start"]))
    assert right >= 18
    assert found["answers"].shape == (20, 20)
