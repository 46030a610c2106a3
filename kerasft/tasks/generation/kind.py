"""What people see of answers that are written and compared with those of the data."""

from __future__ import annotations

from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.labels import WRITTEN
from kerasft.evaluation.report.sections import data, learning_curves, scores_by_split, setup
from kerasft.evaluation.report.text_sections import beside_copies, written_texts

TOKENS = ("perplexity", "log_loss", "bits_per_byte", "accuracy")  # figures of each token that follows

WRITTEN_ANSWERS = Kind(
    name="written answers",
    scores=(*TOKENS, *WRITTEN),
    sections=(learning_curves, written_texts, beside_copies, scores_by_split, data, setup),
)
