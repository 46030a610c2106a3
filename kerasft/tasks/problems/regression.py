"""A number a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kerasft.config.schema import Config
from kerasft.config.tasks import TextClassificationConfig
from kerasft.errors import BadRow, UserError
from kerasft.quoting import quoted
from kerasft.tasks.base.auditable import Judgement
from kerasft.tasks.base.declarations import Explained

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.tables.table import Table


class Regression:
    """A number: squared error on targets scaled by the training data's mean and deviation."""

    headline = "pearson"
    rising = ("pearson", "spearman")
    falling = ("rmse", "mae")
    arrow = pa.float64()
    nothing = 0.0
    one_of_many = False

    def __init__(self, config: Config, section: TextClassificationConfig, state: dict[str, Any]):
        self.config, self.section, self.state = config, section, state

    def parse(self, value: Any, where: str) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):  # the last for a whole number of hundreds of digits
            number = float("nan")
        if not np.isfinite(number) or isinstance(value, bool):
            raise BadRow(
                f"{where}: the label is {quoted(value)}; task.problem regression needs a finite number", "no number"
            )
        return number

    def fit(self, splits: Mapping[str, Table]) -> None:
        values = splits["train"].numpy("label")
        if values.min() == values.max():
            raise UserError(f"data.train: every row has the value {values[0]:g}; there is nothing to learn")
        self.state.update(mean=float(values.mean()), deviation=float(values.std()))

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        """Any number will do."""

    def data_warnings(self) -> list[str]:
        """A number has no name."""
        return []

    def groups(self, table: Table) -> None:
        return None

    def targets(self, table: Table) -> np.ndarray:
        return table.numpy("label").astype(np.float32)

    def weights(self, targets: np.ndarray) -> np.ndarray:
        if self.config.training.class_weights is not None or self.config.training.label_smoothing:
            raise UserError("training.class_weights and training.label_smoothing: not for task.problem regression")
        return np.ones(len(targets), np.float32)

    def outputs(self) -> int:
        return 1

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        scaled = (targets - self.state["mean"]) / self.state["deviation"]
        return tf.square(scaled - tf.squeeze(logits, -1))  # (batch,), (batch, 1) -> (batch,)

    def divergence(self, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.square(tf.squeeze(one - other, -1))

    def joined_logits(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import of_scores

        return of_scores(members, weights)

    def disagreement(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import spread

        return self.state["deviation"] * spread(members, weights)

    def logits_of(self, answers: Sequence[Mapping[str, Any]]) -> np.ndarray:
        if "value" not in answers[0]:
            raise UserError(f"it answers with {', '.join(answers[0])}, and has no number, value")
        values = np.asarray([answer["value"] for answer in answers], np.float32)[:, np.newaxis]  # (rows, 1)
        return (values - np.float32(self.state["mean"])) / np.float32(self.state["deviation"])

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        import tensorflow as tf

        return {"value": tf.squeeze(logits, -1) * self.state["deviation"] + self.state["mean"]}

    def explained(self, logits: np.ndarray, label: str | None, contrast: str | None) -> list[list[Explained]]:
        if label is not None or contrast is not None:
            raise UserError("--label and --contrast: for labels, and this model answers with a number; leave them out")
        only = np.zeros((1, 1), np.int64), np.ones(1)
        return [[Explained(float(value), row, *only)] for row, value in enumerate(self._values(logits))]

    def tune(self, targets: np.ndarray, logits: np.ndarray) -> None:
        """Nothing to choose."""

    def metrics(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.metrics import regression_metrics

        return regression_metrics(targets, self._values(logits))

    def interval(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.intervals import bootstrap_interval
        from kerasft.evaluation.scores import pearson

        return bootstrap_interval(pearson, targets, self._values(logits), seed=self.config.seed)

    def _values(self, logits: np.ndarray) -> np.ndarray:
        return logits[:, 0] * self.state["deviation"] + self.state["mean"]

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return [{"value": value} for value in outputs["value"].tolist()]

    def truth(self, target: np.ndarray) -> float:
        return float(target)

    def class_counts(self, targets: np.ndarray) -> dict[str, int]:
        return {}

    def mistake(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        return {"prediction": row["value"], "score": abs(row["value"] - row["truth"])}

    def write(self, label: float) -> str:
        return repr(float(label))

    def judge(self, targets: np.ndarray, logits: np.ndarray) -> Judgement:
        """The doubt grows with the residual, in units of the numbers' deviation; beyond 3 robust ones it is wrong.

        The scale of residuals is 1.4826 times the median of their distances from their median, which wrong numbers
        do not move.
        """
        residuals = targets - self._values(logits)
        distances = np.abs(residuals - np.median(residuals))
        scale = 1.4826 * float(np.median(distances))
        doubt = 1.0 - np.exp(-np.abs(residuals).astype(np.float64) / self.state["deviation"])
        return Judgement(doubt, [f"{value:.6g}" for value in self._values(logits)], wrong=distances > 3.0 * scale)

    def answer_sets(self, targets: np.ndarray) -> None:
        return None
