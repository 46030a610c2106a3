"""One label a text, where "none of these" is an answer, or where labels are paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.text_classification import OutOfScopeConfig, TextClassificationConfig
from kerasft.errors import UserError
from kerasft.quoting import quoted
from kerasft.tasks.problems.single_label import SingleLabel

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.tables.table import Table


class StructuredLabel(SingleLabel):
    """`task.out_of_scope` and `task.separator`, either or both.

    The class "out of scope" is the last one where it is not learnt: targets and answers know it, logits do not.
    """

    def __init__(self, config: Config, section: TextClassificationConfig, state: dict[str, Any]):
        super().__init__(config, section, state)
        self.scope, self.separator = section.out_of_scope, section.separator
        if self.scope is not None:
            self.instead = self.scope.label
            self.rising = (*SingleLabel.rising, "in_scope_accuracy", "out_of_scope_recall")

    def names(self) -> list[str]:
        labels = self.state["labels"]
        return labels if self.scope is None or self.scope.label in labels else [*labels, self.scope.label]

    def fit(self, splits: Mapping[str, Table]) -> None:
        super().fit(splits)
        if self.scope is not None:
            self._fit_scope(self.scope, splits)
        if self.separator is not None and not any(self.separator in label for label in self.state["labels"]):
            raise UserError(f"task.separator: no label has {quoted(self.separator)} in it; remove the key")

    def _fit_scope(self, scope: OutOfScopeConfig, splits: Mapping[str, Table]) -> None:
        label = scope.label
        if scope.learn and label not in splits["train"].column("label"):
            raise UserError(f"task.out_of_scope.label: no row of data.train has {quoted(label)}; set learn: false")
        outside = [other == label for other in splits["validation"].column("label")]
        if all(outside):
            raise UserError(f"data.validation: every row has the label {quoted(label)}; add rows that are in scope")
        if scope.max_accuracy_loss is None and not any(outside):
            raise UserError(
                f"task.out_of_scope: no row of data.validation has the label {quoted(label)}, so the threshold can't "
                "be balanced; add some, or set max_accuracy_loss"
            )
        self.state["threshold"] = 0.0

    def learnt(self, labels: set[str]) -> set[str]:
        if self.scope is None or self.scope.learn:
            return labels
        inside = labels - {self.scope.label}
        if not inside:
            raise UserError(
                f"data.train: every row has the label {quoted(self.scope.label)}; add rows that are in scope"
            )
        return inside

    def weights(self, targets: np.ndarray) -> np.ndarray:
        weights = np.zeros(len(targets), np.float32)
        learnt = targets < self.outputs()
        weights[learnt] = super().weights(targets[learnt])
        return weights

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        import tensorflow as tf

        answer = super().decode(logits)
        if self.scope is not None:
            label, outside = self.scope.label, self._outside(self.scope)
            sure = tf.reduce_max(answer["probabilities"] - outside, axis=-1)
            names = tf.where(sure < self.state["threshold"], label, answer["label"])
            answer |= {"label": names, "score": sure}
        if self.separator is not None:
            _, below = self._parents(self.separator)
            answer["parent_probabilities"] = tf.matmul(answer["probabilities"], below)  # (batch, parents)
        return answer

    def tune(self, targets: np.ndarray, logits: np.ndarray) -> None:
        super().tune(targets, logits)  # the temperature first: the threshold is one of its probabilities
        if self.scope is None:
            return
        from kerasft.evaluation.out_of_scope import choose_threshold

        best, sure = self._best(self.scope, logits)
        inside = targets != self.names().index(self.scope.label)
        loss = self.scope.max_accuracy_loss
        self.state["threshold"] = choose_threshold(sure, best == targets, inside, loss)

    def predictions(self, logits: np.ndarray) -> np.ndarray:
        if self.scope is None:
            return super().predictions(logits)
        best, sure = self._best(self.scope, logits)
        return np.where(sure < np.float32(self.state["threshold"]), self.names().index(self.scope.label), best)

    def metrics(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.levels import level_scores
        from kerasft.evaluation.metrics import confidence_metrics, decision_metrics
        from kerasft.evaluation.out_of_scope import out_of_scope_scores

        predictions, names = self.predictions(logits), self.names()
        scores = decision_metrics(targets, predictions, names)
        inside = targets < self.outputs()  # the model has no probability for a class that it did not learn
        if inside.any():
            scores |= confidence_metrics(targets[inside], self.probabilities(logits[inside]))
            scores |= self.calibrated(targets[inside], logits[inside])
        if self.scope is not None:
            outside = names.index(self.scope.label)
            scores |= out_of_scope_scores(targets, predictions, outside) | {"threshold": self.state["threshold"]}
        if self.separator is not None:
            scores["levels"] = level_scores(targets, predictions, names, self.separator)
        return scores

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        rows = super().rows(outputs)
        if self.separator is not None:
            names, _ = self._parents(self.separator)
            for row, each in zip(rows, outputs["parent_probabilities"].tolist()):
                row["parents"] = dict(zip(names, each))
        return rows

    def _parents(self, separator: str) -> tuple[list[str], np.ndarray]:
        from kerasft.evaluation.levels import parents

        return parents(self.state["labels"], separator)

    def _outside(self, scope: OutOfScopeConfig) -> np.ndarray:
        """(labels,) 1 at the label that means out of scope, where it is learnt."""
        return np.asarray([label == scope.label for label in self.state["labels"]], np.float32)

    def _best(self, scope: OutOfScopeConfig, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) most probable label; and the best in-scope probability, -1 where that label is out of scope."""
        best, outside = logits.argmax(-1), self._outside(scope)
        sure = (self.probabilities(logits).astype(np.float32) - outside).max(
            -1
        )  # float32, as the served model compares
        return best, np.where(outside[best] > 0, np.float32(-1), sure)
