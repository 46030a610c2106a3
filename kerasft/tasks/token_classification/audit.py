"""What a model that did not learn from some texts says of their entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasft.tasks.base.auditable import Judgement, Units
from kerasft.tasks.problems.single_label import softmax
from kerasft.tasks.token_classification.rows import write_spans

if TYPE_CHECKING:
    from kerasft.data.prepared.spans import Spans
    from kerasft.data.prepared.token_windows import PreparedWindows


def judge_entities(split: PreparedWindows, logits: np.ndarray, predicted: Spans, labels: Sequence[str]) -> Judgement:
    """A text is doubted as much as its least believed unit (Wang and Mueller 2022, arXiv:2210.03920).

    Args:
        split: the texts.
        logits: (tokens, tags) of all windows.
        predicted: the model's own entities.
        labels: names of their types.
    """
    probabilities, given = softmax(logits[split.answers]), split.targets[split.answers].astype(np.int64)
    units = Units(split.units.texts, given, probabilities)
    doubt = np.zeros(split.texts)
    np.maximum.at(doubt, units.rows, 1.0 - probabilities[np.arange(len(given)), given])
    names = [labels[kind] for kind in predicted.types]
    spans = list(zip(predicted.starts.tolist(), predicted.ends.tolist(), names))
    suggested = [write_spans(spans[at] for at in own) for own in predicted.by_text(split.texts)]
    return Judgement(doubt, suggested, (units,))
