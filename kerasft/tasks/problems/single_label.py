"""One label a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kerasft.config.schema import Config
from kerasft.data.sources.literals import looks_like_list, read_list
from kerasft.errors import BadRow, UserError
from kerasft.quoting import quoted
from kerasft.tasks.base.auditable import Judgement, Units
from kerasft.tasks.problems.answered import answered_probabilities
from kerasft.tasks.problems.explained import explained_labels
from kerasft.tasks.problems.labels import (
    check_unknown,
    check_weights,
    fit_labels,
    lists,
    probability_rows,
    top_label,
)
from kerasft.tasks.problems.names import distinct, identity, indices, name_warnings, read_name
from kerasft.tasks.problems.problem import LabelSection

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Explained


class SingleLabel:
    """Exactly one label a text: softmax and cross-entropy."""

    headline = "accuracy"
    rising: tuple[str, ...] = ("accuracy", "macro_f1", "micro_f1", "weighted_f1", "macro_precision", "macro_recall")
    falling = ("log_loss", "expected_calibration_error")
    arrow = pa.string()
    one_of_many = True
    instead: str | None = None  # the answer to a text that is out of scope

    def __init__(self, config: Config, section: LabelSection, state: dict[str, Any]):
        self.config, self.section, self.state = config, section, state

    @property
    def nothing(self) -> str:
        return self.state["labels"][0]

    def parse(self, value: Any, where: str) -> str:
        several = value
        if isinstance(value, str) and (value.lstrip().startswith("[") or looks_like_list(value)):
            items = read_list(value)
            several = value if items is None else items
            if items is None and looks_like_list(value):
                raise BadRow(
                    f"{where}: the label is {quoted(value)}, a list or a mapping that can't be read; write its name "
                    "alone",
                    "a list for a label",
                )
        if not isinstance(several, list):
            return read_name(value, "the label", where)
        if len(several) != 1:
            raise BadRow(
                f"{where}: the label is {quoted(value)}, a list; one label is needed, or task.problem: multi_label",
                "a list for a label",
            )
        return read_name(several[0], "the label", where)  # a list of one, as doccano and Label Studio write

    def fit(self, splits: Mapping[str, Table]) -> None:
        labels = self.learnt(set(distinct(set(splits["train"].column("label")))))
        if len(labels) < 2 and not self.config.continual:  # a stage may have one new label
            raise UserError(
                f"data.train: every row has the label {quoted(next(iter(labels)))}; at least two labels are needed to "
                "learn"
            )
        fit_labels(self.section.labels, self.state, labels)
        if isinstance(self.config.training.class_weights, dict):
            check_weights(self.config.training.class_weights, self.state["labels"])
        self.check_targets(splits)

    def learnt(self, labels: set[str]) -> set[str]:
        """Those of the labels in train that the model has a logit for."""
        return labels

    def names(self) -> list[str]:
        """What targets and predictions are indices of; the labels that the model has a logit for come first."""
        return self.state["labels"]

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        check_unknown(self.names(), splits, lambda label: [label], self.config.data.limit)

    def data_warnings(self) -> list[str]:
        """What is odd about the names of labels."""
        return name_warnings(self.names())

    def groups(self, table: Table) -> np.ndarray:
        return np.unique(np.asarray(table.column("label"), object).astype(str), return_inverse=True)[1]

    def targets(self, table: Table) -> np.ndarray:
        ids = indices(self.names())
        return np.asarray([ids[identity(label)] for label in table.column("label")], np.int32)

    def weights(self, targets: np.ndarray) -> np.ndarray:
        setting, labels = self.config.training.class_weights, self.state["labels"]
        if setting is None:
            return np.ones(len(targets), np.float32)
        counts = np.bincount(targets, minlength=len(labels))
        if setting == "balanced":  # King and Zeng 2001, as scikit-learn has it: n / (classes * count)
            each = len(targets) / (len(labels) * np.maximum(counts, 1))
        else:
            setting = check_weights(setting, labels)
            each = np.asarray([setting.get(identity(label), 1.0) for label in labels])
        weights = each[targets]
        if not weights.any():
            raise UserError("training.class_weights: every row of data.train has the weight 0; raise that of a label")
        return (weights / weights.mean()).astype(np.float32)

    def outputs(self) -> int:
        return len(self.state["labels"])

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        smoothing = self.config.training.label_smoothing
        hot = tf.one_hot(targets, self.outputs(), dtype=logits.dtype)
        hot = hot * (1.0 - smoothing) + smoothing / self.outputs()
        return tf.nn.softmax_cross_entropy_with_logits(hot, logits)  # (batch, labels) -> (batch,)

    def divergence(self, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.divergence import between_classes

        return between_classes(one, other)

    def joined_logits(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import of_classes

        return of_classes(members, weights)

    def disagreement(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import disagreement

        return disagreement(members, weights, one_of_many=True)

    def logits_of(self, answers: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Logarithms of probabilities: their softmax, at any temperature, is that of the logits behind them."""
        rows = answered_probabilities(answers, self.state["labels"], self.instead)
        return np.log(np.maximum(rows, np.finfo(np.float32).tiny))

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        import tensorflow as tf

        temperature = self.state.get("temperature")
        probabilities = tf.nn.softmax(logits if temperature is None else logits / temperature)
        return top_label(probabilities, self.state["labels"]) | {"probabilities": probabilities}

    def explained(self, logits: np.ndarray, label: str | None, contrast: str | None) -> list[list[Explained]]:
        return explained_labels(logits, self.state["labels"], label, contrast)

    def tune(self, targets: np.ndarray, logits: np.ndarray) -> None:
        """The temperature, where the config wants one; the most probable label is the answer with any."""
        if self.config.evaluation.calibrate is None:
            return
        from kerasft.evaluation.temperature import fit_temperature

        known = targets < self.outputs()  # the model has no probability for a class that it did not learn
        self.state["temperature"] = fit_temperature(targets[known], logits[known])

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(n, labels) -> (n, labels), as `decode` has them."""
        temperature = self.state.get("temperature")
        return softmax(logits if temperature is None else logits / np.float32(temperature))

    def calibrated(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        """What the temperature is, and figures of the probabilities as they were without it; nothing without one."""
        if "temperature" not in self.state:
            return {}
        from kerasft.evaluation.metrics import confidence_metrics

        before = confidence_metrics(targets, softmax(logits))
        names = ("log_loss", "expected_calibration_error", "mean_confidence")
        return {
            "temperature": self.state["temperature"],
            "before_calibration": {name: before[name] for name in names},
        }

    def predictions(self, logits: np.ndarray) -> np.ndarray:
        """(n, labels) -> (n,) index of each answer."""
        return logits.argmax(-1)

    def metrics(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.metrics import single_label_metrics

        scores = single_label_metrics(targets, self.probabilities(logits), self.state["labels"])
        return scores | self.calibrated(targets, logits)

    def interval(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.intervals import bootstrap_interval

        return bootstrap_interval(np.mean, (self.predictions(logits) == targets).astype(float), seed=self.config.seed)

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        probabilities = probability_rows(outputs, self.state["labels"], self.section.top)
        return [
            {"label": label, "score": score, "probabilities": each}
            for label, score, each in zip(*lists(outputs, "label", "score"), probabilities)
        ]

    def truth(self, target: np.ndarray) -> str:
        return self.names()[int(target)]

    def class_counts(self, targets: np.ndarray) -> dict[str, int]:
        names = self.names()
        return dict(zip(names, np.bincount(targets, minlength=len(names)).tolist()))

    def mistake(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        if row["label"] == row["truth"]:
            return None
        return {"prediction": row["label"], "score": row["score"]}

    def write(self, label: str) -> str:
        return label

    def judge(self, targets: np.ndarray, logits: np.ndarray) -> Judgement:
        probabilities, rows = softmax(logits), np.arange(len(targets))
        names = np.array(self.names(), object)
        known = targets < probabilities.shape[1]  # a label without a logit is no class of the model
        doubt = np.ones(len(targets))
        doubt[known] = 1.0 - probabilities[rows[known], targets[known]]
        units = Units(rows[known], targets[known].astype(np.int64), probabilities[known])
        return Judgement(doubt, names[probabilities.argmax(-1)].tolist(), (units,), self.names())

    def answer_sets(self, targets: np.ndarray) -> np.ndarray:
        return np.eye(len(self.names()), dtype=np.float32)[targets]


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
