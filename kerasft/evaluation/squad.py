"""Exact match and F1 of answers, as SQuAD's official scripts have them, and Chinese and Japanese by characters."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.data.sources.scripts import unspaced

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_tokens(text: str) -> list[str]:
    """What answers are compared by.

    The official script's: lower case, without punctuation and articles, split at white space. A text with Chinese or
    Japanese characters loses all of Unicode's punctuation, and each of these characters is a token of its own, as in
    the evaluation of MLQA (Lewis et al. 2020, arXiv:1910.07475); white space would leave a whole answer as one word.
    """
    text = text.lower().translate(_PUNCTUATION)
    if any(map(unspaced, text)):
        text = "".join(sign for sign in text if not unicodedata.category(sign).startswith("P"))
        text = "".join(f" {sign} " if unspaced(sign) else sign for sign in text)
    return _ARTICLES.sub(" ", text).split()


def answer_scores(answer: str, truths: Sequence[str]) -> tuple[bool, float]:
    """Exact match and F1 of one answer, each against the truth that it suits best.

    Args:
        answer: "" for no answer.
        truths: the question's answers; none, or none with a token, where no answer is right.
    """
    tokens_of_answer = answer_tokens(answer)
    references = [tokens for tokens in map(answer_tokens, truths) if tokens] or [[]]
    return tokens_of_answer in references, max(_f1(tokens_of_answer, tokens) for tokens in references)


def _f1(prediction: list[str], reference: list[str]) -> float:
    if not prediction or not reference:  # no answer is right or wrong, nothing between
        return float(prediction == reference)
    common = sum((Counter(prediction) & Counter(reference)).values())
    return 2.0 * common / (len(prediction) + len(reference))


def answer_metrics(exact: np.ndarray, f1: np.ndarray, answerable: np.ndarray) -> dict[str, Any]:
    """Means over questions, and where some have no answer, over those with and those without one.

    Args:
        exact: (n,) bool.
        f1: (n,) float.
        answerable: (n,) bool, whether the question has an answer.

    Returns:
        rows, exact_match, f1; with unanswerable questions also {has,no}_answer_{rows,exact_match,f1}.
    """
    scores = {"rows": len(f1), "exact_match": float(exact.mean()), "f1": float(f1.mean())}
    if answerable.all():
        return scores
    for name, mask in (("has_answer", answerable), ("no_answer", ~answerable)):
        scores[f"{name}_rows"] = int(mask.sum())
        if mask.any():
            scores |= {
                f"{name}_exact_match": float(exact[mask].mean()),
                f"{name}_f1": float(f1[mask].mean()),
            }
    return scores


def choose_threshold(gaps: np.ndarray, answered: np.ndarray, refused: np.ndarray) -> float:
    """How far the score of "no answer" has to be above the best answer's, for the highest mean F1.

    Args:
        gaps: (n,) float32 score of "no answer" less that of the best answer; inf where there is none to give.
        answered: (n,) F1 of each question if it is answered.
        refused: (n,) F1 if it is not.

    Returns:
        A float32 number halfway between two gaps, so that a served model which compares in float32 decides alike.
    """
    open_ = np.isfinite(gaps)
    if not open_.any():
        return 0.0
    order = np.argsort(gaps[open_], kind="stable")
    gaps = gaps[open_][order].astype(np.float32)
    # (k + 1,) what is won where the k lowest gaps are answered and the others refused
    won = np.concatenate([[0], np.cumsum((answered - refused)[open_][order])])
    won[1:-1][gaps[1:] == gaps[:-1]] = -np.inf  # equal gaps are answered together or not at all
    best = len(won) - 1 - int(won[::-1].argmax())  # of equally good ones the one that answers most
    edges = np.concatenate([gaps[:1] - 1, gaps, gaps[-1:] + 1])
    return float((edges[best] + edges[best + 1]) / np.float32(2))
