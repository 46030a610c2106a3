"""Which unlabelled texts to label next: those a model is least sure of, those unlike each other, or both.

What is chosen here is rows; vectors and probabilities come from a model.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.config.data import DataConfig
from kerasft.errors import UserError

CANDIDATES = 10  # `both` looks for diversity among so many times the rows that are asked for


def choose(count: int, by: str, probabilities: np.ndarray, vectors: np.ndarray | None = None) -> np.ndarray:
    """(count,) int64 rows, the first to be labelled first; all rows where there are fewer.

    Args:
        count: how many rows.
        by: `uncertainty`: the smallest margins; `diversity`: rows that are far from each other; `both`: such rows among
            the ten times as many with the smallest margins.
        probabilities: (rows, labels), 0 where an answer left a label out.
        vectors: (rows, width), for all but uncertainty.
    """
    count = min(count, len(probabilities))
    surest_last = np.argsort(margins(probabilities), kind="stable")
    if by == "uncertainty":
        return surest_last[:count]
    assert vectors is not None  # of a model that gives some, which is asked for before
    rows = np.arange(len(vectors)) if by == "diversity" else surest_last[: CANDIDATES * count]
    return rows[far_apart(vectors[rows], count)]


def margins(probabilities: np.ndarray) -> np.ndarray:
    """(rows,) by how much the likeliest label leads (Scheffer et al. 2001)."""
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def far_apart(vectors: np.ndarray, count: int) -> np.ndarray:
    """(count,) rows that cover the others: each is the farthest from those before it, the first nearest to the mean.

    Greedy k-center, Sener and Savarese 2018, arXiv:1708.00489.
    """
    vectors = vectors.astype(np.float64)
    chosen = [int(np.argmin(np.linalg.norm(vectors - vectors.mean(0), axis=1)))]
    distances = np.linalg.norm(vectors - vectors[chosen[0]], axis=1)
    while len(chosen) < min(count, len(vectors)):
        distances[chosen[-1]] = -1.0  # copies of a chosen row are at 0, and come last
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, np.linalg.norm(vectors - vectors[chosen[-1]], axis=1))
    return np.asarray(chosen)


def probability_matrix(answers: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray:
    """Answers of a classifier -> (rows, labels) float32; 0 of a label that an answer leaves out."""
    return np.asarray([[row["probabilities"].get(label, 0.0) for label in labels] for row in answers], np.float32)


def new_texts(rows: Sequence[tuple[str, ...]], known: set[tuple[str, ...]]) -> list[int]:
    """The rows that are neither known nor copies of an earlier one."""
    seen, new = set(known), []
    for index, row in enumerate(rows):
        if row not in seen:
            seen.add(row)
            new.append(index)
    return new


def sheet(
    rows: Sequence[Mapping[str, str]],
    columns: Mapping[str, str],
    answers: Sequence[Mapping[str, Any]],
    data: DataConfig,
    delimiter: str = ",",
) -> bytes:
    """CSV with a column for each role of a config, the label empty, then what the model says, for whoever labels.

    Args:
        rows: {role: text} of each row.
        columns: `data.columns`, and one of the label.
        answers: of a classifier.
        data: its encoding, delimiter and quoting are those of the file, so that it is read as the rest of `data.train`.
        delimiter: where the config leaves it open.

    Raises:
        UserError: a text can't be written like that.
    """
    text = io.StringIO()
    # A bare carriage return ends a line, too, but Python before 3.13 writes it without quotes.
    returns = any("\r" in value for row in rows for value in row.values())
    quoting = csv.QUOTE_NONE if data.quoting == "none" else csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    quotes = None if data.quoting == "none" else '"'
    delimiter = delimiter if data.delimiter == "auto" else data.delimiter
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting, quotechar=quotes)
    roles = [role for role in columns if role != "label"]
    writer.writerow([*(columns[role] for role in roles), columns["label"], "prediction", "probability"])
    try:
        if returns and quoting == csv.QUOTE_NONE:
            raise csv.Error("a carriage return")
        for row, answer in zip(rows, answers):
            writer.writerow([*(row[role] for role in roles), "", answer["label"], f"{answer['score']:.4f}"])
    except csv.Error as error:
        raise UserError(
            "data.quoting: none, and a text to be labelled has the separator or a line break in it; use minimal"
        ) from error
    encoding = "utf-8" if data.encoding == "auto" else data.encoding
    try:
        return text.getvalue().encode(encoding)
    except UnicodeEncodeError as error:
        character = error.object[error.start]
        raise UserError(
            f"data.encoding: {encoding} has no {character!r}, which a text to be labelled has; save data.train as "
            "UTF-8, and leave the key out"
        ) from error
