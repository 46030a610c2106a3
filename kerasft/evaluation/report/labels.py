"""How figures are called and written where people read them."""

from __future__ import annotations

TITLES = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "weighted_f1": "Weighted F1",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "macro_average_precision": "Macro average precision",
    "micro_average_precision": "Micro average precision",
    "subset_accuracy": "Subset accuracy",
    "log_loss": "Log loss",
    "expected_calibration_error": "Calibration error",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "rmse": "RMSE",
    "mae": "MAE",
    "mrr": "MRR",
    "recall_at_1": "Recall at 1",
    "recall_at_5": "Recall at 5",
    "recall_at_10": "Recall at 10",
    "ndcg_at_10": "nDCG at 10",
    "exact_match": "Exact match",
    "has_answer_f1": "F1 with an answer",
    "has_answer_exact_match": "Exact match with an answer",
    "no_answer_f1": "F1 without an answer",
    "in_scope_accuracy": "In-scope accuracy",
    "out_of_scope_recall": "Out-of-scope recall",
    "out_of_scope_precision": "Out-of-scope precision",
    "perplexity": "Perplexity",
    "top_5_accuracy": "Top-5 accuracy",
    "bits_per_byte": "Bits per byte",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU",
    "chrf": "chrF",
    "distinct_1": "Distinct-1",
    "distinct_2": "Distinct-2",
}
WRITTEN = ("rouge_1", "rouge_2", "rouge_l", "bleu", "chrf", "exact_match", "distinct_1", "distinct_2")
OUT_OF_SCOPE = ("in_scope_accuracy", "out_of_scope_recall", "out_of_scope_precision", "threshold")


def title(metric: str) -> str:
    """`macro_f1` -> `Macro F1`; a metric without an entry keeps its words."""
    return TITLES.get(metric, metric.replace("_", " ").capitalize())


def score(value: float | None) -> str:
    """Three decimals; a dash where a figure is not defined."""
    return "–" if value is None else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Seconds as `48 s`, `3 min 32 s` or `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def magnitude(count: float) -> str:
    """A count short enough for a tile: 22.7M, 5,485."""
    if count >= 1e9:
        return f"{count / 1e9:.2f}B"
    if count >= 1e6:
        return f"{count / 1e6:.1f}M"
    return f"{count:,.0f}"


def percent(share: float | None) -> str:
    """A share as `1.2 %`; a dash where it is not known."""
    return "–" if share is None else f"{share:.1%}".replace("%", " %")


def megabytes(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e6:,.1f} MB"
