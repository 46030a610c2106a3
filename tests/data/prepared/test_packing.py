"""Packing: nothing is lost, order is kept, rows are full, and documents stay apart."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.prepared.packing import pack

SEPARATOR = np.array([-1])
DOCUMENTS = st.lists(st.integers(0, 40), max_size=30).map(
    lambda lengths: [np.arange(1, n + 1) + 1000 * i for i, n in enumerate(lengths)]
)
ROOM = st.integers(2, 24)


@given(DOCUMENTS, ROOM, st.booleans())
def test_every_token_comes_once_and_in_order(documents, room, across):
    rows = list(pack(documents, room, SEPARATOR, across))
    found = [token for row in rows for token in row if token != -1]
    assert found == [token for document in documents for token in document]
    assert all(1 <= len(row) <= room for row in rows)


@given(DOCUMENTS, ROOM)
def test_rows_are_full_but_the_last(documents, room):
    rows = list(pack(documents, room, SEPARATOR, across=True))
    # one token short where only a separator would have fitted
    assert all(len(row) >= room - 1 for row in rows[:-1])


@given(DOCUMENTS, ROOM)
def test_a_separator_stands_between_documents_of_a_row_and_nowhere_else(documents, room):
    for row in pack(documents, room, SEPARATOR, across=True):
        document = row // 1000
        for before, here, after in zip(document, row[1:], document[2:]):
            assert here != -1 or before != after
        changes = (np.diff(document) != 0) & (row[:-1] != -1) & (row[1:] != -1)
        assert not changes.any()
        assert row[0] != -1 and row[-1] != -1


@given(DOCUMENTS, ROOM)
def test_without_packing_a_row_is_of_one_document(documents, room):
    rows = list(pack(documents, room, SEPARATOR, across=False))
    assert all(len(set(row // 1000)) == 1 for row in rows)
    assert len(rows) == sum(-(-len(document) // room) for document in documents)


def test_pairs_of_separators_and_further_columns():
    documents = [np.array([[1, 0], [2, 0], [3, 0]]), np.array([[4, 1]] * 6)]
    rows = list(pack(documents, 6, np.array([[9, 9], [9, 9]]), across=True))
    assert [row[:, 0].tolist() for row in rows] == [[1, 2, 3, 9, 9, 4], [4] * 5]
