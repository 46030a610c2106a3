"""Whether texts that a model has no label for show in its scores, beside those that it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.evaluation.unknown import FOREIGN, distances, separated, unknown_scores
from kerasft.models.heads.text_classifier import HEAD
from kerasft.runs import Trained

AT_ONCE = 64


class Vectors:
    """Logits of texts, and the vectors that the last layer reads.

    Args:
        trained: a run whose last layer is a Dense one named `classifier`.
    """

    def __init__(self, trained: Trained):
        model, names = trained.model, trained.task.inputs
        self._names = names
        both = keras.Model(model.input, [model.output, model.get_layer(HEAD).input])
        inputs = list(model.input)
        spec = [{name: tf.TensorSpec([None], tf.string) for name in names}]

        @tf.function(input_signature=spec, autograph=False)
        def read(texts):
            features = trained.preprocessor(texts)
            return both({name: features[name] for name in inputs}, training=False)

        self._read = read

    def __call__(
        self, rows: Sequence[Mapping[str, str]], report: Callable[[int], None] = lambda rows: None
    ) -> tuple[np.ndarray, np.ndarray]:
        """{input: text} each -> (rows, labels) logits, (rows, width) vectors; rows of like length go together.

        Args:
            rows: that are read.
            report: how many rows are done.
        """
        order = np.argsort([-sum(map(len, row.values())) for row in rows], kind="stable")
        parts = []
        for start in range(0, len(order), AT_ONCE):
            some = [rows[i] for i in order[start : start + AT_ONCE]]
            texts = {name: tf.constant([row[name] for row in some], tf.string) for name in self._names}
            parts.append([each.numpy() for each in self._read(texts)])
            report(start + len(some))
        logits, vectors = (np.concatenate(column) for column in zip(*parts))
        back = np.argsort(order, kind="stable")
        return logits[back], vectors[back]


def unknown_texts(
    trained: Trained,
    read: Vectors,
    rows: Sequence[Mapping[str, str]],
    whole: Sequence[Mapping[str, Any]],
    learnt: np.ndarray,
) -> dict[str, Any]:
    """Score -> how well it tells unknown texts from the known ones of a split.

    Unknown are the rows whose label means out of scope, where the task has such, and otherwise a few sentences about
    other things (`FOREIGN`), which are easy to tell.

    Args:
        trained: of one label a text.
        read: its logits and vectors.
        rows, whole: of the split, and the same with their labels.
        learnt: (n, width) vectors of rows that the model has learnt from, for the distance.
    """
    scope = getattr(trained.task.section, "out_of_scope", None)
    outside = np.array([scope is not None and row["label"] == scope.label for row in whole])
    known = [row for row, out in zip(rows, outside) if not out]
    unknown = [row for row, out in zip(rows, outside) if out]
    source = "rows out of scope"
    if not unknown:
        source = f"{len(FOREIGN)} sentences about other things"
        unknown = [dict.fromkeys(trained.task.inputs, text) for text in FOREIGN]
    (logits, vectors), (other_logits, other_vectors) = read(known), read(unknown)
    temperature = trained.task.state.get("temperature") or 1.0
    scores, others = unknown_scores(logits, temperature), unknown_scores(other_logits, temperature)
    scores["distance"], others["distance"] = distances(vectors, learnt), distances(other_vectors, learnt)
    return {
        "unknown": len(unknown),
        "source": source,
        "scores": {name: separated(scores[name], others[name]) for name in scores},
    }
