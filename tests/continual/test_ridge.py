"""Sums of rows: any order and any stages give the same head, and a row is forgotten exactly."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from kerasft.continual.memory.ridge import RidgeSums, row_digest
from kerasft.errors import UserError

RANDOM = np.random.default_rng(0)
FEATURES = np.maximum(RANDOM.normal(size=(60, 12)), 0).astype(np.float32)
TARGETS = np.arange(60) % 4
DIGESTS = [row_digest([str(row), str(row % 4)]) for row in range(60)]
LABELS = ["a", "b", "c", "d"]


def learnt(*parts, labels=LABELS) -> RidgeSums:
    sums = RidgeSums.empty("encoder", 12)
    for rows in parts:
        sums.grow(labels[: max(len(sums.labels), 1 + max(TARGETS[rows]))])
        sums.add(FEATURES[rows], TARGETS[rows], [DIGESTS[row] for row in rows])
    return sums


def test_the_solution_is_that_of_ridge_regression():
    sums = learnt(range(60))
    penalty = 0.1 * np.trace(sums.gram) / 12
    expected = Ridge(alpha=penalty, fit_intercept=False).fit(FEATURES.astype(float), np.eye(4)[TARGETS]).coef_.T
    np.testing.assert_allclose(sums.solve(0.1), expected, atol=1e-9)


def test_stages_of_classes_equal_one_stage_in_any_order():
    whole = learnt(range(60)).solve(1e-3)
    by_class = learnt(*[[row for row in range(60) if TARGETS[row] == name] for name in range(4)]).solve(1e-3)
    np.testing.assert_allclose(by_class, whole, atol=1e-9)
    shuffled = RANDOM.permutation(60)
    np.testing.assert_allclose(learnt(shuffled[:30], shuffled[30:]).solve(1e-3), whole, atol=1e-9)


def test_what_is_forgotten_was_never_learnt():
    sums, rows = learnt(range(60)), [3, 17, 41]
    sums.remove(FEATURES[rows], TARGETS[rows], [DIGESTS[row] for row in rows])
    others = learnt([row for row in range(60) if row not in rows])
    np.testing.assert_allclose(sums.gram, others.gram, atol=1e-8)
    np.testing.assert_allclose(sums.solve(1e-3), others.solve(1e-3), atol=1e-8)
    assert sums.rows == others.rows


def test_a_row_that_was_not_learnt_is_not_forgotten():
    sums = learnt(range(30))
    before = sums.gram.copy()
    with pytest.raises(UserError, match="1 of 2 rows were not learnt by this run"):
        sums.remove(FEATURES[[3, 40]], TARGETS[[3, 40]], [DIGESTS[3], DIGESTS[40]])
    assert (sums.gram == before).all()


def test_the_sums_of_two_runs_join_by_names_of_classes():
    one, other = learnt(range(0, 60, 2)), RidgeSums.empty("encoder", 12)  # the first has a and c
    other.grow(["d", "b"])
    odd = np.arange(1, 60, 2)
    other.add(FEATURES[odd], np.where(TARGETS[odd] == 3, 0, 1))
    both = one.join(other)
    expected = learnt(range(60)).solve(1e-3)
    np.testing.assert_allclose(both.solve(1e-3)[:, [both.labels.index(name) for name in LABELS]], expected, atol=1e-9)
    other.encoder = "another"
    with pytest.raises(UserError, match="of different encoders"):
        one.join(other)


def test_a_file_gives_the_same_sums(tmp_path):
    sums = learnt(range(60))
    (tmp_path / "sums.npz").write_bytes(sums.to_bytes())
    read = RidgeSums.read(tmp_path / "sums.npz")
    assert (read.gram == sums.gram).all() and (read.products == sums.products).all()
    assert (read.encoder, read.labels, read.rows) == (sums.encoder, sums.labels, sums.rows)
    (tmp_path / "sums.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="can't be read"):
        RidgeSums.read(tmp_path / "sums.npz")


def test_old_classes_keep_their_columns():
    with pytest.raises(ValueError, match="classes keep their columns"):
        learnt(range(60)).grow(["b", "a", "c", "d", "e"])
