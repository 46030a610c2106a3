"""The signature `explain` of an export: what each token adds to the logit of the label, in graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.attribution.integrated_gradients import IntegratedGradients, gauss_legendre
from kerasft.attribution.served import SERVED_POINTS
from kerasft.attribution.vectors import VectorModel, baseline_id

if TYPE_CHECKING:
    from kerasft.tasks.base import Task

NOWHERE = -1


class ExplainSignature:
    """Texts -> their label, and a score and a place for each token.

    Args:
        preprocessor: of texts or pairs, whose `token_offsets` runs in graph.
        model: features -> (batch, labels) logits.
        labels: their names.
        method: `gradient_times_input`, or `integrated_gradients` with SERVED_POINTS points, whatever the gap.
    """

    def __init__(self, preprocessor: Any, model: keras.Model, labels: list[str], method: str):
        self._preprocessor, self._labels, self._model = preprocessor, labels, model
        self._vectors = VectorModel(model, preprocessor.pad_values, baseline_id(preprocessor))
        self._method, self._integrated = method, method == IntegratedGradients.name

    def __call__(self, texts: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: (batch,) strings of each input -> what a server answers.

        Returns:
            `label`, `method` (batch,), `value` and `baseline` (batch,) its logit with and without the words; `scores`,
            `starts`, `ends` and `columns` (batch, longest): of each token what it adds, its code points, and which text
            it is of; NOWHERE for special tokens and behind a row's end.
        """
        features = self._preprocessor(texts)
        features = {name: features[name] for name in self._vectors.names}
        located = self._preprocessor.token_offsets(texts)
        columns = located.column.to_tensor(NOWHERE)  # (batch, longest)
        offsets = located.offsets.to_tensor(NOWHERE, shape=[None, None, 2])
        logits = self._model(features, training=False)
        best = tf.argmax(logits, -1, tf.int32)
        index, weights = best[:, None, None], tf.ones_like(logits[:, :1])
        if self._integrated:
            base = tf.where(columns >= 0, self._vectors.baseline, features["token_ids"])
            points, quadrature = gauss_legendre(SERVED_POINTS)
            path = tf.constant(np.concatenate([points, [1.0, 0.0]]), tf.float32)
            parts, values = self._vectors.integrate(
                features, base, index, weights, path, tf.constant([*quadrature, 0.0, 0.0], tf.float32)
            )
            value, baseline = values[:, -2], values[:, -1]
        else:
            parts, value, baseline = self._vectors.gradient_at_input(features, index, weights)
        return {
            "label": tf.gather(tf.constant(self._labels), best),
            "method": tf.fill(tf.shape(best), self._method),
            "value": value,
            "baseline": baseline,
            "scores": parts,
            "starts": offsets[..., 0],
            "ends": offsets[..., 1],
            "columns": columns,
        }


def explain_signature(task: Task, preprocessor: Any, model: keras.Model) -> ExplainSignature | None:
    """What `export.explain` asks for; None: nothing."""
    method = task.config.export.explain
    return None if method is None else ExplainSignature(preprocessor, model, task.state["labels"], method)
