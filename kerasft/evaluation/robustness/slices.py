"""Parts of a split on which a model is worse, told with a correction for how many parts were looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.evaluation.statistics import fisher, holm, share

FEWEST_ROWS = 10  # of a part, and of the rest


def length_parts(lengths: Sequence[int]) -> list[str]:
    """(rows,) which quarter each length lies in, named by its bounds; equal lengths are never divided."""
    values = np.asarray(lengths)
    edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="lower"))
    index = np.searchsorted(edges, values, side="left")
    names = {part: f"{values[index == part].min()} to {values[index == part].max()} words" for part in np.unique(index)}
    return [names[part] for part in index]


def clusters(texts: Sequence[str], seed: int, count: int = 8) -> list[str]:
    """(rows,) texts that share words are in one cluster, named by its heaviest words (TF-IDF and k-means)."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", min_df=2, max_features=4096, sublinear_tf=True)
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # no word is there twice
        return ["all"] * len(texts)
    found = MiniBatchKMeans(min(count, len(texts)), random_state=seed, n_init=3).fit(vectors)
    words = vectorizer.get_feature_names_out()
    names = [", ".join(words[center.argsort()[::-1][:3]]) for center in found.cluster_centers_]
    return [names[number] for number in found.labels_]


def worst_slices(right: np.ndarray, parts: Mapping[str, Sequence[str]], most: int = 20) -> dict[str, Any]:
    """Each part against the rest by Fisher's exact test, all p-values by Holm's correction; the worst first.

    Args:
        right: (rows,) whether each answer is right.
        parts: kind, such as `length` -> (rows,) name of each row's part.
        most: slices that are listed.
    """
    right, found = np.asarray(right, bool), []
    for kind, names in parts.items():
        names = np.asarray(names, object)
        for name in dict.fromkeys(names.tolist()):
            inside = names == name
            rows, others = int(inside.sum()), int((~inside).sum())
            if rows < FEWEST_ROWS or others < FEWEST_ROWS:
                continue
            hits, other_hits = int(right[inside].sum()), int(right[~inside].sum())
            found.append(
                {
                    "kind": kind,
                    "name": str(name),
                    "right": share(hits, rows),
                    "rest": other_hits / others,
                    "p": fisher(hits, rows, other_hits, others),
                }
            )
    for row, adjusted in zip(found, holm([row["p"] for row in found])):
        row["p_adjusted"] = adjusted
    worse = [row for row in found if row["right"]["value"] < row["rest"]]
    ordered = sorted(worse, key=lambda row: (row["p_adjusted"], row["p"], row["right"]["value"]))
    return {
        "right": share(int(right.sum()), len(right)),
        "compared": len(found),
        "worse": sum(row["p_adjusted"] < 0.05 for row in worse),
        "slices": ordered[:most],
    }
