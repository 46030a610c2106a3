"""The signature `labels` of an export, in graph: each row brings the labels that its text is answered by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasft.prompting.embedding import Embedding
from kerasft.prompting.label_requests import BETWEEN, SIGNATURE
from kerasft.prompting.templates import Template

_NEVER = -1e9


class LabelsSignature:
    """Texts and labels -> the likeliest label, by the cosines of method `embedding`.

    A label's vector depends on its text alone, so an answer does not depend on other rows of a batch. Each label text
    of a batch is read once, however many rows have it.

    Args:
        method: of the config; its templates and temperature.
        model: of the method.
        preprocessor: of the method.
    """

    def __init__(self, method: Embedding, model: keras.Model, preprocessor: Any):
        self._templates, self._temperature = method.templates(), method.section.temperature
        self._encoder = keras.Model(model.input, model.get_layer("unit").output)
        self._preprocessor, (self._input,) = preprocessor, preprocessor.inputs

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """(batch,) strings, `labels` among them: names with a line break between them -> what a server answers.

        Returns:
            `label` and `score` (batch,), "" and 0 where a row has no labels; `probabilities` (batch, most labels of a
            row) in the order of the request, 0 behind a row's own.
        """
        names = tf.strings.split(columns[SIGNATURE], BETWEEN)
        names = names.with_flat_values(tf.strings.strip(names.flat_values))
        names = tf.ragged.boolean_mask(names, tf.strings.length(names) > 0)
        # One text is always there, so that no batch of texts is empty.
        distinct, places = tf.unique(tf.concat([[""], names.flat_values], 0))
        vectors = self._label_vectors(distinct)  # (distinct, hidden)
        places = names.with_flat_values(places[1:]).to_tensor(0)  # (batch, most)
        real = tf.sequence_mask(names.row_lengths(), tf.shape(places)[1])
        texts = self._vectors(columns[self._input])  # (batch, hidden)
        cosines = tf.einsum("bh,bnh->bn", texts, tf.gather(vectors, places))
        odds = tf.where(real, cosines / self._temperature, _NEVER)
        # A column more, so that there is a likeliest one where no row has labels.
        odds = tf.pad(odds, [[0, 0], [0, 1]], constant_values=_NEVER)
        probabilities = tf.where(tf.pad(real, [[0, 0], [0, 1]]), tf.nn.softmax(odds), 0.0)
        best = tf.argmax(odds, axis=1, output_type=tf.int32)
        padded = tf.pad(names.to_tensor(""), [[0, 0], [0, 1]], constant_values="")
        return {
            "label": tf.gather(padded, best, batch_dims=1),
            "score": tf.gather(probabilities, best, batch_dims=1),
            "probabilities": probabilities[:, :-1],
        }

    def _label_vectors(self, names: tf.Tensor) -> tf.Tensor:
        """(labels,) names -> (labels, hidden) unit vectors, means over templates."""
        means = tf.add_n([self._vectors(_filled(template, names)) for template in self._templates])
        return tf.math.l2_normalize(means, -1)

    def _vectors(self, texts: tf.Tensor) -> tf.Tensor:
        return self._encoder(self._preprocessor({self._input: texts}), training=False)


def _filled(template: Template, names: tf.Tensor) -> tf.Tensor:
    """(labels,) names in a template, in graph."""
    parts: list[Any] = []
    for words, name in template.parts:
        parts += [words] if name is None else [words, names]
    return tf.strings.join(parts)
