"""Ridge regression by sums: what a head knows of rows that are gone, exactly (RanPAC, arXiv:2307.02251).

For features phi (M,) and a one-hot class y (C,) of each row, G = sum phi phi' and B = sum phi y' are all that the ridge
solution W = (G + ridge * trace(G) / M * I)^-1 B needs. So rows can be added in any order, those of two sums join by
addition, and a row is forgotten exactly by subtraction. No text is kept: a row leaves its class, and a digest by which
it is known again.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.errors import UserError

ROWS_AT_ONCE = 2048  # whose products are made in float64 at a time


@dataclass
class RidgeSums:
    """The sums of the rows learnt so far.

    Attributes:
        encoder: digest of all that makes features of a text; sums of two encoders can't be added.
        labels: names of the classes, one a column of `products`, in the order in which they came.
        gram: G, (M, M) float64.
        products: B, (M, C) float64.
        rows: digest of each row that was added -> how often.
    """

    encoder: str
    labels: list[str]
    gram: np.ndarray
    products: np.ndarray
    rows: Counter[str] = field(default_factory=Counter)

    @classmethod
    def empty(cls, encoder: str, features: int) -> RidgeSums:
        return cls(encoder, [], np.zeros((features, features)), np.zeros((features, 0)))

    def grow(self, labels: Sequence[str]) -> None:
        """Takes in further classes behind those there are.

        Raises:
            ValueError: the labels do not begin with those there are.
        """
        if list(labels[: len(self.labels)]) != self.labels:
            raise ValueError("classes keep their columns: new ones come behind the old")
        self.products = np.pad(self.products, ((0, 0), (0, len(labels) - len(self.labels))))
        self.labels = list(labels)

    def add(self, features: np.ndarray, targets: np.ndarray, digests: Iterable[str] = ()) -> None:
        """Learns rows.

        Args:
            features: (rows, M).
            targets: (rows,) indices of `labels`.
            digests: of `row_digest`, one a row.
        """
        self._sum(features, targets, 1.0)
        self.rows.update(digests)

    def remove(self, features: np.ndarray, targets: np.ndarray, digests: Sequence[str] = ()) -> None:
        """Forgets rows that were added: the sums are those of the other rows, up to rounding.

        Raises:
            UserError: a row was not learnt, or not as often; nothing is changed then.
        """
        self.check_learnt(digests)
        self._sum(features, targets, -1.0)
        self.rows -= Counter(digests)

    def check_learnt(self, digests: Sequence[str]) -> None:
        """Raises UserError where some rows were not added, or not as often."""
        if unknown := Counter(digests) - self.rows:
            raise UserError(
                f"{sum(unknown.values())} of {len(digests)} rows were not learnt by this run (text and label must be "
                "as they were); remove them from the file"
            )

    def join(self, other: RidgeSums, without: RidgeSums | None = None) -> RidgeSums:
        """The sums of both; classes of one name are one, new ones of the other come last.

        Args:
            other: is added.
            without: what `other` began with, which is not added; its classes are the first ones of `other`.

        Raises:
            UserError: the features are of different encoders.
        """
        if without is not None:
            products = other.products.copy()
            products[:, : len(without.labels)] -= without.products
            other = RidgeSums(
                other.encoder, other.labels, other.gram - without.gram, products, other.rows - without.rows
            )
        if other.encoder != self.encoder:
            raise UserError(
                "the features of the two runs are of different encoders or other random numbers, so that their sums "
                "can't be added; continue both from one run"
            )
        labels = [*self.labels, *(label for label in other.labels if label not in self.labels)]
        products = np.zeros((len(self.gram), len(labels)))
        products[:, : len(self.labels)] = self.products
        products[:, [labels.index(label) for label in other.labels]] += other.products
        return RidgeSums(self.encoder, labels, self.gram + other.gram, products, self.rows + other.rows)

    def ordered(self, labels: Sequence[str]) -> RidgeSums:
        """The same sums with a column for each of some labels. Raises ValueError: one of the classes is left out."""
        if missing := sorted(set(self.labels) - set(labels)):
            raise ValueError(f"no column for {missing}")
        products = np.zeros((len(self.gram), len(labels)))
        products[:, [labels.index(label) for label in self.labels]] = self.products
        return RidgeSums(self.encoder, list(labels), self.gram, products, self.rows)

    def solve(self, ridge: float) -> np.ndarray:
        """(M, C) the weights of each class, by a Cholesky factorisation.

        Args:
            ridge: weight of the squared norm, in units of the mean of G's diagonal.
        """
        from scipy.linalg import cho_factor, cho_solve  # a quarter of a second to import

        size = len(self.gram)
        penalty = max(ridge * np.trace(self.gram) / size, np.finfo(float).tiny)
        factor = cho_factor(self.gram + penalty * np.eye(size), lower=True, overwrite_a=True)
        return cho_solve(factor, self.products)

    def _sum(self, features: np.ndarray, targets: np.ndarray, sign: float) -> None:
        for start in range(0, len(features), ROWS_AT_ONCE):
            part = np.asarray(features[start : start + ROWS_AT_ONCE], np.float64)  # (rows, M)
            hot = np.eye(len(self.labels))[targets[start : start + ROWS_AT_ONCE]]  # (rows, C)
            self.gram += sign * (part.T @ part)
            self.products += sign * (part.T @ hot)

    def to_bytes(self) -> bytes:
        """A `.npz` file; of the symmetric G half is kept."""
        content = io.BytesIO()
        digests = sorted(self.rows)
        np.savez(
            content,
            encoder=np.array(self.encoder),
            labels=np.array(self.labels, dtype=np.str_),
            gram=self.gram[np.tril_indices(len(self.gram))],
            products=self.products,
            digests=np.array(digests, dtype="U32"),
            counts=np.array([self.rows[digest] for digest in digests], np.int64),
        )
        return content.getvalue()

    @classmethod
    def read(cls, file: Path) -> RidgeSums:
        """What `to_bytes` gave. Raises UserError for a file that is gone or damaged."""
        try:
            with np.load(file, allow_pickle=False) as saved:
                values: Mapping[str, Any] = {name: saved[name] for name in saved.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{file}: can't be read ({type(error).__name__}); copy the run again") from error
        size = len(values["products"])
        lower = np.zeros((size, size))
        lower[np.tril_indices(size)] = values["gram"]
        gram = lower + np.tril(lower, -1).T
        rows = Counter(dict(zip(values["digests"].tolist(), values["counts"].tolist())))
        return cls(str(values["encoder"]), values["labels"].tolist(), gram, values["products"], rows)


def row_digest(values: Sequence[str]) -> str:
    """128 bits, hex, by which a row is known again: of its texts and its label."""
    digest = hashlib.sha256()
    for value in values:
        content = value.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:32]
