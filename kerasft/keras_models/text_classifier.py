"""Texts, or pairs of texts, get a label, several labels or a number."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.errors import UserError
from kerasft.keras_models.base import TaskModel
from kerasft.keras_models.columns import LabelNames, named, plain


@keras.saving.register_keras_serializable(package="kerasft")
class TextClassifier(TaskModel):
    """A label, several labels or a number for a text, or for a pair of texts.

        >>> model = kerasft.TextClassifier.from_preset(preset, labels=["sport", "trade"])
        >>> history = model.fit(["goal by the team", "stock price"], ["sport", "trade"], verbose=0)
        >>> model.predict(["a match"])[0]["label"] in ("sport", "trade")
        True

    More options of `from_preset`: `problem`: `single_label`, `multi_label`, or `regression`, which takes no `labels`.
    With `pairs=True` data are pairs, `(texts, other_texts)` or dicts of `text` and `text_pair`.

    Labels are names or their numbers, one for each text. With `multi_label` they are a list for each text, or an array
    (texts, labels) of 0 and 1. With `regression` they are numbers. An answer is {label, score, probabilities}; with
    `multi_label` {labels, probabilities}; with `regression` {value}.
    """

    task_name = "text_classification"

    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        for name in ("out_of_scope", "separator"):
            if options.get(name) is not None:
                raise UserError(f"{name}: is learnt by a run alone; train one and load it with run:DIR")
        pair = ("text_pair",) if options.pop("pairs", False) else ()
        return ("text", *pair, "label")

    @classmethod
    def _labelled(cls, labels: Any, options: dict[str, Any]) -> None:
        if options.get("problem") == "regression":
            super()._labelled(labels, options)
            return
        if labels is None:
            raise UserError("labels are missing; give labels=[...], or problem='regression'")
        options["labels"] = named(labels)

    @classmethod
    def _first_state(cls, config: Any) -> dict[str, Any]:
        if config.task.problem == "regression":
            return {"mean": 0.0, "deviation": 1.0}
        state: dict[str, Any] = {"labels": list(config.task.labels)}
        if config.task.problem == "multi_label":
            state["thresholds"] = [0.5] * len(state["labels"])
        return state

    @property
    def _problem(self) -> str:
        return self.task.section.problem

    def _default_metrics(self) -> list[keras.metrics.Metric]:
        if self._problem == "regression":
            return []
        if self._problem == "multi_label":
            return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def _learns(self) -> bool:
        return self._problem == "regression" and not self.settings.learnt

    def _labels(self, y: Any) -> list[Any]:
        if self._problem == "regression":
            return plain(y)
        names = LabelNames(self.task.state["labels"])
        return names.several(y) if self._problem == "multi_label" else names.names(plain(y))
