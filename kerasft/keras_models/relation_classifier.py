"""Two marked entities of a text get the relation between them."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.errors import UserError
from kerasft.keras_models.base import TaskModel
from kerasft.keras_models.columns import LabelNames, named, plain
from kerasft.quoting import quoted


@keras.saving.register_keras_serializable(package="kerasft")
class RelationClassifier(TaskModel):
    """The relation between two entities that are marked in a text.

        >>> model = kerasft.RelationClassifier.from_preset(preset, labels=["beats", "none"])
        >>> history = model.fit(["<e1>team</e1> a <e2>coach</e2>", "<e1>a</e1> <e2>bank</e2>"], [0, 1], verbose=0)
        >>> model.predict(["the <e1>team</e1> and the <e2>bank</e2>"])[0]["relation"] in ("beats", "none")
        True

    Labels are names of relations or their numbers, one for each text. Options: `tags`, the names of the markers,
    `["e1", "e2"]`; `no_relation`, the label for no relation, which is left out of `measure`'s F1. An answer is
    {relation, score, probabilities}; for a text without the four markers the relation is "".
    """

    task_name = "relation_extraction"

    @classmethod
    def _labelled(cls, labels: Any, options: dict[str, Any]) -> None:
        if labels is None:
            raise UserError("labels are missing; give labels=[...], the names of relations")
        options["labels"] = named(labels)
        if (none := options.get("no_relation")) is not None and none not in options["labels"]:
            raise UserError(f"no_relation: {quoted(none)} is none of the labels; name one of them")

    @classmethod
    def _first_state(cls, config: Any) -> dict[str, Any]:
        return {"labels": list(config.task.labels)}

    def _default_metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def _labels(self, y: Any) -> list[Any]:
        return LabelNames(self.task.state["labels"]).names(plain(y))
