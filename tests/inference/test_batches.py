"""Answers come in the order of the texts, whatever batches they were made in."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.inference.batches import sorted_answers


def lengths(rows):
    return [len(row["text"]) for row in rows]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=12), max_size=80), st.integers(1, 7), st.integers(1, 9))
def test_one_answer_a_row_in_order(texts, batch_size, most):
    rows = [{"text": text, "number": str(i)} for i, text in enumerate(texts)]
    sizes = []

    def answers(batch):
        sizes.append(len(batch))
        return [(row["number"], row["text"]) for row in batch]

    found = list(sorted_answers(iter(rows), lengths, answers, batch_size, most))
    assert found == [(row["number"], row["text"]) for row in rows]
    assert max(sizes, default=0) <= batch_size
    assert len(sizes) <= -(-len(rows) // batch_size) + 10  # a window's last batch alone may be a smaller one


def test_texts_of_like_length_share_a_batch():
    rows = [{"text": "x" * (1 + i * 37 % 100)} for i in range(700)]
    padding = []

    def answers(batch):
        found = lengths(batch)
        padding.append(1 - sum(found) / (max(found) * len(found)))
        return batch

    assert list(sorted_answers(rows, lengths, answers, 10, 50)) == rows
    assert sum(padding) / len(padding) < 0.1  # 0.5 as they come


def test_nothing_is_read_ahead_of_what_is_answered():
    read, answered = [], []

    def rows():
        for i in range(12):
            read.append(i)
            yield {"text": str(i)}

    def answers(batch):
        return [(row, len(read)) for row in batch]

    for row, seen in sorted_answers(rows(), lengths, answers, 3, most_batches=1):
        answered.append(row)
        assert seen <= len(answered) + 3
    assert len(answered) == 12
