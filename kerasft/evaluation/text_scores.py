"""How near written texts are to those that were wanted, by the libraries that papers use, and how diverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasft.data.sources.scripts import apart, kana, unspaced

SOME_KANA = 0.1  # Japanese has more than this share of syllables among its characters, Chinese none
ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}


def text_scores(references: Sequence[str], predictions: Sequence[str]) -> dict[str, Any]:
    """Figures of whole answers.

    ROUGE (Lin 2004) by rouge-score: the mean F1 with stemming, of words of ASCII letters and digits only. BLEU
    (Papineni et al. 2002) and chrF (Popović 2015) by sacreBLEU (Post 2018, arXiv:1804.08771), 0 to 100 over all texts
    together. Distinct-n (Li et al. 2016, arXiv:1510.03055): the share of different ones among all runs of n words, in
    all that was written. Of Chinese and Japanese a word is a character: for BLEU by sacreBLEU's `zh` and `char`, for
    ROUGE without punctuation.

    Args:
        references: a reference for each text.
        predictions: as many, 1 or more.

    Returns:
        answers (how many), exact_match (white space at the ends aside), rouge_1, rouge_2, rouge_l, bleu, chrf,
        distinct_1, distinct_2 (None where no text has so many words), bleu_signature, chrf_signature.
    """
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    equal = [one.strip() == other.strip() for one, other in zip(references, predictions, strict=True)]
    scores: dict[str, Any] = {"answers": len(equal), "exact_match": sum(equal) / len(equal)}
    splitting = _splitting(references)
    scorer = RougeScorer([*ROUGE.values()], use_stemmer=True, tokenizer=None if splitting == "13a" else _Characters())
    each = [scorer.score(one, other) for one, other in zip(references, predictions)]
    scores |= {name: sum(row[theirs].fmeasure for row in each) / len(each) for name, theirs in ROUGE.items()}
    for name, metric in (("bleu", BLEU(tokenize=splitting)), ("chrf", CHRF())):
        scores[name] = float(metric.corpus_score([*predictions], [[*references]]).score)
        scores[f"{name}_signature"] = str(metric.get_signature())
    return scores | {f"distinct_{size}": distinct(predictions, size) for size in (1, 2)}


def distinct(texts: Sequence[str], size: int) -> float | None:
    """Different runs of `size` words over all such runs; words are those of `apart`. None: there is none."""
    words = [apart(text) for text in texts]
    runs = [tuple(row[start : start + size]) for row in words for start in range(len(row) - size + 1)]
    return len(set(runs)) / len(runs) if runs else None


def _splitting(references: Sequence[str]) -> str:
    """sacreBLEU's name of how words are found: where more than half the characters stand without spaces zh, or char.

    sacreBLEU's zh leaves runs of Japanese syllables whole; its ja-mecab needs a dictionary that is not installed here.
    """
    characters = "".join("".join(references).split())
    if 2 * sum(map(unspaced, characters)) <= len(characters):
        return "13a"
    return "char" if sum(map(kana, characters)) > SOME_KANA * len(characters) else "zh"


class _Characters:
    """rouge-score's form of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return apart("".join(sign if sign.isalnum() else " " for sign in text.lower()))
