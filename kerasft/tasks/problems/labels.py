"""What single_label and multi_label share: names of labels, and how they are looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.errors import UserError
from kerasft.quoting import cut, listed, quoted
from kerasft.tasks.problems.names import difference, display_name, distinct, identity, indices, likeness

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.tables.table import Table

MOST_IN_AN_ANSWER = 200  # labels, where task.top does not say
KEPT_OF_MANY = 20


def fit_labels(configured: Sequence[str] | None, state: dict[str, Any], names: set[str]) -> None:
    """The labels of the model: those that `task.labels` names, or those that were found in the data, sorted."""
    index_of = indices(configured or ())
    if configured is not None and (strange := [name for name in sorted(names) if identity(name) not in index_of]):
        near = _near(strange[0], configured, "is in the list")
        fix = "write both alike" if near else "add them"
        raise UserError(f"task.labels: the training data also has {quoted(strange[:5])}{near}; {fix}")
    state["labels"] = list(configured) if configured is not None else distinct(names)


def grow_labels(configured: Sequence[str] | None, old: Sequence[str], found: set[str], where: str) -> list[str]:
    """The labels of a model that goes on learning: see `TaskData.grown_labels`.

    Args:
        configured: `task.labels`.
        old: of the model.
        found: those of new rows.
        where: the model.
    """
    known, named = indices(old), indices(configured or ())
    if configured is not None and (gone := [label for label in old if identity(label) not in named]):
        raise UserError(
            f"task.labels: lacks {listed(gone)}, which {where} knows; a class keeps its place for ever: name it, or "
            "set task.labels: null"
        )
    new = [label for label in configured or distinct(found) if identity(label) not in known]
    alike = {likeness(label): label for label in old}
    if renamed := next((label for label in new if likeness(label) in alike), None):
        raise UserError(
            f"data.train: the label {quoted(renamed)} is new, and {where} knows {quoted(alike[likeness(renamed)])}: "
            "write both alike, or give another class a name that differs more"
        )
    return [*old, *new]


def check_unknown(
    labels: list[str], splits: Mapping[str, Table], names: Callable[[Any], Iterable[str]], limit: int | None = None
) -> None:
    """Raises UserError for the first row of validation or test with a label that the model has not.

    Args:
        labels: that the model has a logit for.
        splits: with a column `label`.
        names: a value of it -> the labels in it.
        limit: `data.limit`, where labels were learnt from a sample.
    """
    index_of = indices(labels)
    for split in ("validation", "test"):
        if (table := splits.get(split)) is None:
            continue
        strange = [
            (row, name)
            for row, value in enumerate(table.column("label"))
            for name in names(value)
            if identity(name) not in index_of
        ]
        if strange:
            row, name = strange[0]
            where = table.rows(np.asarray([row]))[0]["where"]
            more = f" (and {len(strange) - 1} more such rows)" if len(strange) > 1 else ""
            lacking, fix = "data.train", "add examples of it to train, or remove these rows"
            if limit is not None and "train" in splits:
                lacking = f"the sample of data.train that data.limit={limit} takes"
                fix = "raise data.limit, or name all labels in task.labels"
            near = _near(name, labels)
            fix = "write both alike, or " + fix if near else fix
            raise UserError(f"{where}: the label {quoted(name)} does not occur in {lacking}{more}{near}; {fix}")


def _near(name: str, labels: Sequence[str], verb: str = "does") -> str:
    """`; 'b' does, which differs ...` for a label that a reader would take for `name`."""
    like = likeness(name)
    near = next((label for label in labels if likeness(label) == like), None)
    return (
        ""
        if near is None
        else f"; {display_name(near)} {verb}, which differs {difference(near, name)} from {display_name(name)}"
    )


def check_weights(configured: Mapping[str, float], labels: list[str]) -> dict[str, float]:
    """`training.class_weights` by `identity` of the label. Raises UserError for what no training can be done with."""
    index_of = indices(labels)
    for name, weight in configured.items():
        if identity(name) not in index_of:
            near = _near(name, labels, "is one") or f"; there are: {listed(labels)}"
            raise UserError(f"training.class_weights.{cut(name)}: no such label{near}")
        if weight < 0:
            raise UserError(f"training.class_weights.{cut(name)}: {weight} is negative; use 0 or more")
    weights = {identity(name): weight for name, weight in configured.items()}
    if len(weights) < len(configured):
        raise UserError(f"training.class_weights: {listed(configured)} name a label twice; keep one of its weights")
    if not any(weights.get(name, 1.0) for name in index_of):
        raise UserError("training.class_weights: every label has the weight 0, so nothing is learnt; raise one of them")
    return weights


def top_label(probabilities: tf.Tensor, labels: list[str]) -> dict[str, tf.Tensor]:
    import tensorflow as tf

    top = tf.argmax(probabilities, axis=-1, output_type=tf.int32)  # (batch, labels) -> (batch,)
    return {"label": tf.gather(tf.constant(labels), top), "score": tf.reduce_max(probabilities, axis=-1)}


def kept_labels(top: int | None, labels: int) -> int | None:
    """Of how many labels an answer has the probability, by `task.top`; None: of all."""
    count = top or (labels if labels <= MOST_IN_AN_ANSWER else KEPT_OF_MANY)
    return None if count >= labels else count


def shortened(answer: Mapping[str, tf.Tensor], labels: list[str], top: int | None) -> dict[str, tf.Tensor]:
    """An answer with (batch, labels) `probabilities` -> as it is, or with those of the likeliest labels alone.

    Then `top_labels` and `top_probabilities` (batch, kept) stand there, and instead of `chosen` (batch, labels) the
    names and probabilities of those that are chosen: `labels` and `label_probabilities` (batch, most of a text in the
    batch), padded with "" and 0, and `count` (batch).
    """
    import tensorflow as tf

    count = kept_labels(top, len(labels))
    if count is None:
        return dict(answer)
    names = tf.constant(labels)
    shorter = {name: value for name, value in answer.items() if name not in ("probabilities", "chosen")}
    values, likeliest = tf.math.top_k(answer["probabilities"], count)
    shorter |= {"top_labels": tf.gather(names, likeliest), "top_probabilities": values}
    if "chosen" in answer:
        where = tf.where(answer["chosen"] > 0)  # (chosen, 2) row and label
        chosen_count = tf.reduce_sum(answer["chosen"], axis=1)
        for name, values in (
            ("labels", tf.gather(names, where[:, 1])),
            ("label_probabilities", tf.gather_nd(answer["probabilities"], where)),
        ):
            shorter[name] = tf.RaggedTensor.from_row_lengths(values, chosen_count, validate=False).to_tensor()
        shorter["count"] = chosen_count
    return shorter


def probability_rows(outputs: Mapping[str, np.ndarray], labels: list[str], top: int | None) -> list[dict[str, float]]:
    """Outputs of `shortened` -> {label: probability} of each row: of all labels in their order, or of the likeliest
    first. An older export, which answers with all, is cut here."""
    if "top_labels" in outputs:
        return [dict(zip(*row)) for row in zip(*lists(outputs, "top_labels", "top_probabilities"))]
    every, count = outputs["probabilities"], kept_labels(top, len(labels))
    if count is None:
        return [dict(zip(labels, row)) for row in every.tolist()]
    order = np.argsort(-every, axis=1, kind="stable")[:, :count]
    best = np.take_along_axis(every, order, axis=1)
    return [
        {labels[index]: value for index, value in zip(indices, row)}
        for indices, row in zip(order.tolist(), best.tolist())
    ]


def classify_outputs(answer: Mapping[str, tf.Tensor], labels: list[str]) -> dict[str, tf.Tensor]:
    """TensorFlow Serving's Classify: names of labels and, beside them, their (batch, labels) scores."""
    import tensorflow as tf

    if "top_labels" in answer:
        return {"classes": answer["top_labels"], "scores": answer["top_probabilities"]}
    scores = answer["probabilities"]
    return {"classes": tf.tile(tf.constant(labels)[tf.newaxis], tf.stack([tf.shape(scores)[0], 1])), "scores": scores}


def lists(outputs: Mapping[str, np.ndarray], *names: str) -> list[list[Any]]:
    """Outputs as Python has them, bytes as text."""
    return [_decoded(outputs[name].tolist()) for name in names]


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value] if value and isinstance(value[0], (list, bytes)) else value
    return value.decode("utf-8") if isinstance(value, bytes) else value
