"""What people see of text generation: of a corpus that is gone on from, or of answers."""

from __future__ import annotations

from kerasft.evaluation.answer_measures import Watched
from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.sections import data, learning_curves, scores_by_split, setup
from kerasft.evaluation.report.text_sections import written_texts
from kerasft.tasks.generation.kind import TOKENS, WRITTEN_ANSWERS

CORPUS = Kind(
    name="text generation",
    scores=TOKENS,
    sections=(learning_curves, written_texts, scores_by_split, data, setup),
)
ANSWERS = WRITTEN_ANSWERS
WATCHED = Watched()  # of texts alone: answers are free text
