"""A text becomes a unit vector, and texts that belong together get like ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasft.keras_models.base import TaskModel


@keras.saving.register_keras_serializable(package="kerasft")
class TextEmbedder(TaskModel):
    """A vector of length 1 for a text: the cosine of two vectors says how similar the texts are.

        >>> model = kerasft.TextEmbedder.from_preset(preset)
        >>> history = model.fit((["goal", "price"], ["match score", "stock trade"]), verbose=0)
        >>> model.predict(["team", "bank", "coach"]).shape
        (3, 16)

    It works without training if the preset is a text embedder. To train it, give pairs: (texts, texts that belong to
    them), or dicts of `text` and `text_pair` (a data set must have dicts). The option `objective` is `contrastive` for
    such pairs; with `negatives=True` there is a third text, `text_negative`, that seems to belong to the first but does
    not. It is `cosent` or `cosine` for pairs with scores as labels; a higher score means more similar. Other options:
    `pooling`, `temperature`.

    An answer is a row of an array (texts, hidden) float32.
    """

    task_name = "text_embedding"

    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        scored = options.setdefault("objective", "contrastive") != "contrastive"
        third = ("text_negative",) if options.pop("negatives", False) else ()
        return ("text", "text_pair", *third, *(("label",) if scored else ()))

    def _learns(self) -> bool:
        return self.task.section.objective == "cosine" and not self.settings.learnt

    @classmethod
    def _first_state(cls, config: Any) -> dict[str, Any]:
        return {"lowest": 0.0, "highest": 1.0}

    def _as_answers(self, answers: list[dict[str, Any]]) -> np.ndarray:
        return np.asarray([answer["embedding"] for answer in answers], np.float32)
