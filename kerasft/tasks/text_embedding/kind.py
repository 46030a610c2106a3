"""What people see of text embedding: of pairs with scores, and of texts that are looked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasft.evaluation.answer_measures import Watched
from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.sections import NUMBERS, data, learning_curves, scores_by_split, setup
from kerasft.evaluation.report.text_sections import mistakes

SCORED_PAIRS = Kind(
    name="scored pairs",
    scores=("spearman", "pearson"),
    sections=NUMBERS,
    mistakes=("Furthest off in rank", "share of ranks"),
)
RETRIEVAL = Kind(
    name="retrieval",
    scores=("mrr", "recall_at_1", "recall_at_5", "recall_at_10", "ndcg_at_10"),
    sections=(learning_curves, mistakes, scores_by_split, data, setup),
    mistakes=("Found last", "rank"),
)
WATCHED = Watched()  # of texts alone: answers are vectors


def furthest_off(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions/ of scored pairs, those first whose cosine ranks furthest from their score."""
    from scipy.stats import rankdata

    truth, cosine = (rankdata([row[name] for row in answers]) for name in ("truth", "cosine"))
    gaps = np.abs(truth - cosine) / len(answers)
    return [
        {name: answers[i][name] for name in ("text", "text_pair", "truth")}
        | {"prediction": answers[i]["cosine"], "score": float(gaps[i])}
        for i in np.argsort(-gaps, kind="stable")
    ]


def worst_ranked(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions/ whose text was not found first, the last ones first."""
    missed = sorted((row for row in answers if row["rank"] > 1), key=lambda row: -row["rank"])
    return [
        {"text": row["text"], "truth": row["truth"], "prediction": row["found"], "score": row["rank"]} for row in missed
    ]
