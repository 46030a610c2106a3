"""Several labels a text, or none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kerasft.config.schema import Config
from kerasft.config.tasks import TextClassificationConfig
from kerasft.data.sources.edges import trimmed
from kerasft.data.sources.literals import looks_like_list, read_list
from kerasft.errors import BadRow, UserError
from kerasft.quoting import quoted
from kerasft.tasks.base.auditable import Judgement, Units
from kerasft.tasks.problems.answered import all_probabilities, check_order
from kerasft.tasks.problems.explained import explained_labels
from kerasft.tasks.problems.labels import check_unknown, fit_labels, lists, probability_rows, top_label
from kerasft.tasks.problems.names import identity, indices, name_warnings, read_name

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Explained


_CHOICES = re.compile(r'{\s*"choices"\s*:\s*(\[.*\])\s*}', re.DOTALL)


class MultiLabel:
    """Any number of labels a text: a sigmoid and a threshold for each."""

    headline = "macro_f1"
    rising = (
        "macro_f1",
        "micro_f1",
        "weighted_f1",
        "macro_average_precision",
        "micro_average_precision",
        "subset_accuracy",
    )
    falling = ("log_loss",)
    arrow = pa.list_(pa.string())
    nothing: Sequence[str] = ()
    one_of_many = False

    def __init__(self, config: Config, section: TextClassificationConfig, state: dict[str, Any]):
        self.config, self.section, self.state = config, section, state

    def parse(self, value: Any, where: str) -> list[str]:
        return self._names(self._parts(value, where), value, where)

    def _parts(self, value: Any, where: str) -> list[Any]:
        separator = self.section.label_separator
        if isinstance(value, str):
            parts, bare = read_list(value), trimmed(value)
            if bare.startswith("{") and (choices := _CHOICES.fullmatch(bare)):  # Label Studio's CSV
                parts = read_list(choices[1])
            bracketed = looks_like_list(bare) or (bare.startswith("[") and bare.endswith("]") and "," in bare)
            if parts is None and bracketed and separator not in bare:
                raise BadRow(
                    f"{where}: the labels are {quoted(value)}, a list that can't be read; write it in JSON, or the "
                    f"labels with {quoted(separator)} between them (task.label_separator)",
                    "a list that can't be read",
                )
            return [part for part in value.split(separator) if trimmed(part)] if parts is None else parts
        if not isinstance(value, list):
            raise BadRow(
                f"{where}: the labels are {quoted(value)}; a list, or a text with {quoted(separator)} between the "
                "labels (task.label_separator), is needed",
                "no list of labels",
            )
        return value

    def _names(self, parts: list[Any], value: Any, where: str) -> list[str]:
        """The names of several labels, each once."""
        flags = [part for part in parts if isinstance(part, (bool, int, float)) and part in (0, 1)]
        if len(flags) == len(parts) > len(set(flags)):
            raise BadRow(
                f"{where}: the labels are {quoted(value)}, a flag for each class; write the names of those that hold",
                "flags for labels",
            )
        return sorted({read_name(part, f"a label of {quoted(value)}", where) for part in parts})

    def fit(self, splits: Mapping[str, Table]) -> None:
        names = {label for labels in splits["train"].column("label") for label in labels}
        fit_labels(self.section.labels, self.state, names)
        self.check_targets(splits)
        self.state["thresholds"] = [0.5] * len(self.state["labels"])

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        check_unknown(self.state["labels"], splits, lambda labels: labels, self.config.data.limit)

    def data_warnings(self) -> list[str]:
        """What is odd about the names of labels."""
        return name_warnings(self.state["labels"], separator="task.label_separator")

    def groups(self, table: Table) -> np.ndarray:
        """Rows with the same rarest label form a group, so that rare labels reach both parts."""
        rows = table.column("label")
        counts: dict[str, int] = {}
        for labels in rows:
            for label in labels:
                counts[label] = counts.get(label, 0) + 1
        rarest = [min(labels, key=lambda label: (counts[label], label), default="") for labels in rows]
        return np.unique(np.asarray(rarest, object).astype(str), return_inverse=True)[1]

    def targets(self, table: Table) -> np.ndarray:
        ids = indices(self.state["labels"])
        hot = np.zeros((len(table), len(ids)), np.float32)
        for row, labels in enumerate(table.column("label")):
            hot[row, [ids[identity(label)] for label in labels]] = 1.0
        return hot

    def weights(self, targets: np.ndarray) -> np.ndarray:
        if self.config.training.class_weights is not None:
            raise UserError("training.class_weights: only for task.problem single_label; remove it")
        return np.ones(len(targets), np.float32)

    def outputs(self) -> int:
        return len(self.state["labels"])

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        smoothing = self.config.training.label_smoothing
        soft = targets * (1.0 - smoothing) + 0.5 * smoothing
        # (batch, labels) -> (batch,): the sum, -log p of all the labels of a text. Their mean has gradients so small,
        # where labels are many and rare, that Adam's epsilon outweighs them and nothing is learnt.
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(soft, logits), axis=-1)

    def divergence(self, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.divergence import between_labels

        return between_labels(one, other)

    def joined_logits(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import of_labels

        return of_labels(members, weights)

    def disagreement(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import disagreement

        return disagreement(members, weights, one_of_many=False)

    def logits_of(self, answers: Sequence[Mapping[str, Any]]) -> np.ndarray:
        labels = self.state["labels"]
        if "top_labels" in answers[0]:
            raise UserError("it answers with the likeliest labels alone; set its task.top as high as it has labels")
        if "chosen" not in answers[0]:
            raise UserError(f"it answers with {', '.join(answers[0])}, and a text here has several labels (chosen)")
        rows = all_probabilities(answers, labels)
        check_order(answers, rows, labels)
        rows = np.clip(rows, 1e-7, 1 - 1e-7)
        return np.log(rows / (1 - rows))

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        import tensorflow as tf

        probabilities = tf.sigmoid(logits)
        chosen = tf.cast(probabilities >= tf.constant(self.state["thresholds"], tf.float32), tf.int32)
        return top_label(probabilities, self.state["labels"]) | {"probabilities": probabilities, "chosen": chosen}

    def explained(self, logits: np.ndarray, label: str | None, contrast: str | None) -> list[list[Explained]]:
        """One for each label that is chosen; for the likeliest where none is."""
        yes = _sigmoid(logits) >= np.asarray(self.state["thresholds"], np.float32)
        chosen = [np.flatnonzero(row).tolist() or [int(scores.argmax())] for row, scores in zip(yes, logits)]
        return explained_labels(logits, self.state["labels"], label, contrast, chosen)

    def tune(self, targets: np.ndarray, logits: np.ndarray) -> None:
        from kerasft.evaluation.thresholds import tune_thresholds

        thresholds = tune_thresholds(targets, _sigmoid(logits))
        # as float32, the type they are compared in, so that a saved threshold decides as the live one did
        self.state["thresholds"] = [float(np.float32(value)) for value in thresholds]

    def metrics(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.metrics import multi_label_metrics

        thresholds = np.asarray(self.state["thresholds"])
        return multi_label_metrics(targets, _sigmoid(logits), self.state["labels"], thresholds)

    def interval(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.intervals import bootstrap_interval
        from kerasft.evaluation.scores import decisions, multi_label_macro_f1

        predicted = decisions(_sigmoid(logits), np.asarray(self.state["thresholds"]))
        return bootstrap_interval(multi_label_macro_f1, targets, predicted, seed=self.config.seed)

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        probabilities = probability_rows(outputs, self.state["labels"], self.section.top)
        return [
            {"label": label, "score": score, "labels": list(own), "probabilities": each | own}
            for label, score, own, each in zip(
                *lists(outputs, "label", "score"), self._chosen_labels(outputs), probabilities
            )
        ]

    def _chosen_labels(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
        """The chosen labels of each row with their probabilities."""
        if "chosen" not in outputs:
            rows = zip(*lists(outputs, "labels", "label_probabilities", "count"))
            return [dict(zip(names[:count], scores)) for names, scores, count in rows]
        names, scores = self.state["labels"], outputs["probabilities"]
        indices = [np.flatnonzero(row).tolist() for row in outputs["chosen"]]
        return [{names[index]: float(row[index]) for index in row_indices} for row_indices, row in zip(indices, scores)]

    def truth(self, target: np.ndarray) -> list[str]:
        return [name for name, yes in zip(self.state["labels"], target) if yes]

    def class_counts(self, targets: np.ndarray) -> dict[str, int]:
        return dict(zip(self.state["labels"], targets.sum(0).astype(int).tolist()))

    def mistake(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        wrong = set(row["labels"]) ^ set(row["truth"])
        if not wrong:
            return None
        chances = row["probabilities"]
        least = min(chances.values())  # a label that is not there is no likelier
        surest = max(chances[name] if name in row["labels"] else 1 - chances.get(name, least) for name in wrong)
        return {"prediction": row["labels"], "score": surest}

    def write(self, label: list[str]) -> str:
        return json.dumps(label, ensure_ascii=False)

    def judge(self, targets: np.ndarray, logits: np.ndarray) -> Judgement:
        """Each label by itself: the doubt in a row is that in the label which is least believed."""
        probabilities, rows = _sigmoid(logits), np.arange(len(targets))
        believed = np.where(targets > 0.5, probabilities, 1.0 - probabilities)  # (rows, labels)
        units = tuple(
            Units(rows, (targets[:, at] > 0.5).astype(np.int64), np.stack([1.0 - chance, chance], axis=1))
            for at, chance in enumerate(probabilities.T)
        )
        suggested = [self.write(self.truth(row >= 0.5)) for row in probabilities]
        return Judgement(1.0 - believed.min(1), suggested, units)

    def answer_sets(self, targets: np.ndarray) -> np.ndarray:
        return targets


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
