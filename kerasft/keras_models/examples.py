"""What a model is given to train on, or to be measured on, as batches that Keras takes."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.data.sources.sources import Record
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.keras_models.batches import EpochNumber, batches, streamed, weighed
from kerasft.keras_models.columns import batches_of, columns_of, holds_text, place

if TYPE_CHECKING:
    from kerasft.keras_models.base import TaskModel

MEASURED = 64  # rows of a step of measuring, where nobody says
Given = tuple[Any, ...]  # texts, and perhaps labels and weights


def rows_of(model: TaskModel, x: Any, y: Any) -> Iterator[dict[str, Any]]:
    """Texts and labels in a caller's form -> rows of the task's schema.

    Raises:
        UserError: something in them does not fit the model, or each other.
    """
    columns = columns_of(x, model.text_columns)
    label = model.label_role
    if label is not None and label in model.settings.roles:
        columns[label] = _labels(model, y, len(next(iter(columns.values()))))
    elif y is not None:
        raise UserError("there are labels, and this model takes none; give texts alone")
    for number, values in enumerate(zip(*columns.values())):
        yield model._row(Record(dict(zip(columns, values)), place(number)))


def _labels(model: TaskModel, y: Any, texts: int) -> list[Any]:
    if y is None:
        raise UserError("labels are missing; give (texts, labels)")
    labels = model._labels(y)
    if not isinstance(labels, list) or len(labels) != texts:
        count = len(labels) if isinstance(labels, list) else "no list of"
        raise UserError(f"there are {texts} texts and {count} labels; give as many of each")
    return labels


def fit_arguments(model: TaskModel, given: Given, shuffle: bool, options: dict[str, Any]) -> dict[str, Any]:
    """Strings -> the arguments of Keras' own `fit`.

    Args:
        model: whose preprocessor and labels turn what was given into batches.
        given: texts, labels and weights, in the form of `TaskModel.fit`.
        shuffle: whether each epoch has another order.
        options: the other arguments of `TaskModel.fit`.
    """
    if options.pop("class_weight", None) is not None:
        raise UserError("class_weight: give class_weights={NAME: WEIGHT} to from_preset instead")
    now = EpochNumber()
    options = {**options, "callbacks": [*(options.get("callbacks") or []), now]}
    batch_size, held_size = options.pop("batch_size"), options.pop("validation_batch_size", None) or MEASURED
    if share := options.pop("validation_split", 0.0):
        x, y, weights, options["validation_data"] = split(model, given, share)
        given = x, y, weights
    learn(model, *given[:2])
    if (held := options.get("validation_data")) is not None:
        held = held if isinstance(held, tuple) else (held,)
        options["validation_data"] = measured_data(model, held, held_size)
    seed = model.task.config.seed if shuffle else None
    return options | {"shuffle": False, "x": training_data(model, given, batch_size, seed, now)}


@contextlib.contextmanager
def quiet_end() -> Iterator[None]:
    """Keras warns of data that come to an end where nobody has counted their batches; here nobody has to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        yield


def prepared_examples(model: TaskModel, x: Any, y: Any, weights: Any = None, training: bool = False) -> Prepared:
    """Texts and labels as the model reads them, tokenized as a run tokenizes a split.

    Args:
        model: tells what a row is.
        x, y, weights: of `TaskModel.fit`, no data set.
        training: whether rows weigh what `class_weights` says.

    Raises:
        UserError: something in them does not fit the model.
    """
    table = Table.from_rows(rows_of(model, x, y), model.task.schema())
    return weighed(model.task.prepare(table, model.preprocessor, weighted=training), weights, len(table))


def training_data(
    model: TaskModel, given: Given, batch_size: int, seed: int | None, now: EpochNumber
) -> tf.data.Dataset:
    """Batches of (features, targets, weights), in another order in each epoch; a data set keeps its own.

    Args:
        model: whose preprocessor and labels turn what was given into batches.
        given: strings, in the form of `TaskModel.fit`.
        batch_size: rows.
        seed: of the order; None: that of the data.
        now: which epoch it is.
    """
    if not isinstance(given[0], tf.data.Dataset):
        return batches(prepared_examples(model, *_three(given), training=True), batch_size, seed, now)
    if model.task.config.training.class_weights is not None:
        raise UserError("class_weights are counted over all texts; give lists instead of a data set")
    return _streamed(model, given, now)


def measured_data(model: TaskModel, given: Given, batch_size: int) -> tf.data.Dataset:
    """As `training_data`, in the order of the data; what holds no strings is preprocessed already."""
    if isinstance(given[0], tf.data.Dataset):
        return _streamed(model, given, None) if holds_text(given[0]) else given[0]
    if holds_text(given[0]):
        return batches(prepared_examples(model, *_three(given)), batch_size)
    return tf.data.Dataset.from_tensor_slices(tuple(part for part in given if part is not None)).batch(batch_size)


def split(model: TaskModel, given: Given, share: float) -> tuple[Any, Any, Any, Given]:
    """Texts, labels and weights to train on, and the last share of all apart, as Keras' `validation_split` has it."""
    x, y, weights = _three(given)
    if isinstance(x, tf.data.Dataset) or not 0 < share < 1:
        raise UserError(f"validation_split: {share}; give a share between 0 and 1, of lists")
    columns = columns_of(x, model.text_columns)
    cut = int(len(next(iter(columns.values()))) * (1 - share))

    def part(rows: slice) -> tuple[Any, Any, Any]:
        texts = {name: values[rows] for name, values in columns.items()}
        return texts, _some_of(y, rows), _some_of(weights, rows)

    return *part(slice(cut)), part(slice(cut, None))


def _some_of(values: Any, rows: slice) -> Any:
    """Some rows of a column, or of each of several: answers may be columns."""
    if values is None:
        return None
    return {name: each[rows] for name, each in values.items()} if isinstance(values, Mapping) else values[rows]


def learn(model: TaskModel, x: Any, y: Any) -> None:
    """What a task learns from training data beside weights: a scale, or whether questions go without answer."""
    if not model._learns():
        return
    if isinstance(x, tf.data.Dataset):
        if x.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise UserError("the data set has no end, and is read once beforehand; leave out repeat()")
        rows = (row for texts, labels, _ in batches_of(x) for row in rows_of(model, texts, labels))
    else:
        rows = rows_of(model, x, y)
    table = Table.from_rows(rows, model.task.schema())
    model.task.fit({"train": table, "validation": table})
    model.settings = dataclasses.replace(model.settings, learnt=True)
    # What was traced before has the old scale in it.
    model.train_function = model.test_function = model._predictor = model._writer = None


def _streamed(model: TaskModel, given: Given, now: EpochNumber | None) -> tf.data.Dataset:
    dataset, *beside = given
    if any(part is not None for part in beside):
        raise UserError("a data set holds labels and weights itself: (texts, labels, weights); leave y out")
    training = now is not None
    return streamed(dataset, lambda *window: prepared_examples(model, *window, training=training), now)


def _three(given: Given) -> tuple[Any, Any, Any]:
    x, y, weights = (*given, None, None)[:3]
    return x, y, weights
