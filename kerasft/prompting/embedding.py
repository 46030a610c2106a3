"""The label whose text is nearest to the text: both are vectors of one encoder (Yin et al. 2019, arXiv:1909.00161).

The vectors of label texts are the last layer's kernel, so the model is an ordinary classifier: it trains on and is
exported as any other.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasft.errors import UserError
from kerasft.models.heads.text_classifier import HEAD, build_classifier
from kerasft.models.preprocessing.preprocessor import text_preprocessor
from kerasft.prompting.base import Labels, PromptingMethod
from kerasft.prompting.scoring import outputs_of
from kerasft.prompting.templates import LABEL, Template


class Embedding(PromptingMethod):
    """A mean-pooled unit vector, and a row of the head for each label."""

    name = "embedding"
    template = "{label}"

    def adapt(self, backbone: keras.Model, tokenizer: Any, labels: Labels) -> None:
        if len(self.inputs) > 1:
            raise UserError(
                "prompting.method: embedding reads one text; leave data.columns.text_pair out, or take masked_lm"
            )
        self.templates()

    def build(self, backbone: keras.Model, labels: int) -> keras.Model:
        return build_classifier(backbone, labels, "unit", self.model.dropout)

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        return text_preprocessor(backbone, tokenizer, self.model.max_length, self.inputs)

    def load(self, model: keras.Model, preset: str, preprocessor: Any, labels: Labels) -> None:
        templates = self.templates()
        encoder = keras.Model(model.input, model.get_layer("unit").output)
        texts = [each.fill({LABEL: text}) for own in labels.texts for text in own for each in templates]
        vectors = outputs_of(encoder, preprocessor, {self.inputs[0]: texts})
        owners = np.repeat(np.arange(len(labels.names)), [len(own) * len(templates) for own in labels.texts])
        means = np.zeros((len(labels.names), vectors.shape[1]), np.float32)
        np.add.at(means, owners, vectors)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        model.get_layer(HEAD).kernel.assign(means.T / self.section.temperature)
        model.get_layer(HEAD).bias.assign(np.zeros(len(labels.names), np.float32))

    def templates(self) -> list[Template]:
        """Those of the config, or the method's own."""
        given = self.section.template or self.template
        return [Template.parse(text, (LABEL,)) for text in ([given] if isinstance(given, str) else given)]

    def set_bias(self, model: keras.Model, bias: np.ndarray) -> None:
        model.get_layer(HEAD).bias.assign(bias)
