"""Ranks and figures of retrieval against hand-computed cases, scikit-learn and a full sort."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import ndcg_score

from kerasft.errors import UserError
from kerasft.evaluation import nearest as nearest_module
from kerasft.evaluation import retrieval
from kerasft.evaluation.metrics import similarity_metrics
from kerasft.evaluation.nearest import nearest
from kerasft.evaluation.retrieval import retrieval_metrics, retrieve


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def random_split(words):
    """60 rows of 40 queries and 50 texts: some queries have several relevant texts, some texts several queries."""
    ids = np.stack([words.integers(0, 40, 60), words.integers(100, 150, 60)], 1)
    queries, texts = unit(words.normal(size=(40, 6))), unit(words.normal(size=(50, 6)))
    return ids, np.stack([queries[ids[:, 0]], texts[ids[:, 1] - 100]], 1), queries, texts


def test_ranks_and_figures_by_hand():
    angles = np.radians([0, 10, 20, 30])  # of the four texts
    texts = np.stack([np.cos(angles), np.sin(angles)], 1)
    query = texts[0]  # nearest first: texts 0, 1, 2, 3
    other = texts[3]  # nearest first: texts 3, 2, 1, 0
    ids = np.array([[7, 1], [7, 3], [8, 2], [9, 0], [7, 1]])  # the last row repeats the first
    vectors = np.stack(
        [[query, texts[1]], [query, texts[3]], [other, texts[2]], [query, texts[0]], [query, texts[1]]]
    ).astype(np.float32)
    found = retrieve(ids, vectors)
    assert found.ranks[found.pair_of_row].tolist() == [2, 4, 2, 1, 2]
    figures = retrieval_metrics(found)
    assert figures["rows"] == 5 and figures["queries"] == 3 and figures["corpus"] == 4
    assert figures["mrr"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert figures["recall_at_1"] == pytest.approx(1 / 3)
    assert figures["recall_at_5"] == 1.0
    ideal = 1 + 1 / np.log2(3)
    by_query = [(1 / np.log2(3) + 1 / np.log2(5)) / ideal, 1 / np.log2(3), 1.0]
    assert figures["ndcg_at_10"] == pytest.approx(np.mean(by_query))


def test_figures_agree_with_scikit_learn_and_a_full_sort(random_split):
    ids, vectors, queries, texts = random_split
    figures = retrieval_metrics(retrieve(ids, vectors))
    seen, corpus = np.unique(ids[:, 0]), np.unique(ids[:, 1]) - 100
    truth = np.array([[((ids == (query, text + 100)).all(1)).any() for text in corpus] for query in seen])
    scores = queries[seen] @ texts[corpus].T
    assert truth.sum(1).max() > 1
    assert figures["ndcg_at_10"] == pytest.approx(ndcg_score(truth, scores, k=10), rel=1e-6)
    order = np.argsort(-scores, 1)
    hits = np.take_along_axis(truth, order, 1)
    assert figures["mrr"] == pytest.approx(np.mean(1 / (hits.argmax(1) + 1)))
    for k in (1, 5, 10):
        assert figures[f"recall_at_{k}"] == pytest.approx(np.mean(hits[:, :k].sum(1) / truth.sum(1)))


def test_blocks_change_nothing(random_split, monkeypatch):
    ids, vectors, *_ = random_split
    whole = retrieve(ids, vectors).ranks
    monkeypatch.setattr(retrieval, "SCORES_AT_ONCE", 100)  # three queries at a time
    np.testing.assert_array_equal(retrieve(ids, vectors).ranks, whole)


def test_vectors_that_are_all_alike_find_nothing():
    ids = np.array([[i, 100 + i] for i in range(20)])
    figures = retrieval_metrics(retrieve(ids, np.ones((20, 2, 1), np.float32)))
    assert figures["mrr"] == pytest.approx(1 / 20) and figures["recall_at_10"] == 0.0


def test_vectors_that_are_no_numbers_are_said_to_be_so():
    vectors = np.ones((3, 2, 2), np.float32)
    vectors[1, 0, 0] = np.nan
    with pytest.raises(UserError, match="1 of 3 rows have vectors that are not finite"):
        retrieve(np.arange(6).reshape(3, 2), vectors)


def test_similarity_agrees_with_scipy(words):
    targets = words.integers(0, 5, 200).astype(float)
    cosines = np.tanh(targets / 5 + words.normal(size=200))
    figures = similarity_metrics(targets, cosines)
    assert figures["spearman"] == pytest.approx(stats.spearmanr(targets, cosines).statistic)
    assert figures["pearson"] == pytest.approx(stats.pearsonr(targets, cosines).statistic)
    assert similarity_metrics(targets, np.zeros(200))["spearman"] is None


@pytest.mark.parametrize("top", [1, 7, 300])
def test_nearest_is_a_full_sort(words, monkeypatch, top):
    queries, corpus = unit(words.normal(size=(11, 8))), unit(words.normal(size=(100, 8)))
    monkeypatch.setattr(nearest_module, "ROWS_AT_ONCE", 16)  # the last block has 4
    monkeypatch.setattr(nearest_module, "QUERIES_AT_ONCE", 4)
    scores, rows = nearest(queries, corpus, top)
    expected = np.argsort(-(queries @ corpus.T), 1)[:, :top]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, np.take_along_axis(queries @ corpus.T, expected, 1), atol=1e-6)


def test_equal_neighbours_come_in_the_order_of_the_corpus(monkeypatch):
    monkeypatch.setattr(nearest_module, "ROWS_AT_ONCE", 2)
    corpus = np.array([[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    assert nearest(corpus[1:2], corpus, 4)[1].tolist() == [[1, 3, 4, 0]]
    assert nearest(corpus[:0], corpus, 4)[1].shape == (0, 4)
    with pytest.raises(ValueError, match="at least 1"):
        nearest(corpus, corpus[:0], 4)
