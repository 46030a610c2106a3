"""Strings with labels -> batches that Keras trains on, made as a run of the command line makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.batching.batching import epoch_batches
from kerasft.data.batching.dataset import signature_of
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError
from kerasft.keras_models.columns import batches_of, plain

WINDOW = 2048  # texts of a tf.data pipeline that are tokenized at a time
EPOCH_STEPS = 1 << 20  # of a pipeline whose steps nobody has counted: so that other tokens are hidden in each epoch

Prepare = Callable[[Any, Any, Any], Prepared]  # texts, labels, weights -> as the model reads them


class EpochNumber(keras.callbacks.Callback):
    """Knows which epoch it is when its batches are planned."""

    def __init__(self):
        super().__init__()
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch


def batches(
    prepared: Prepared, batch_size: int, seed: int | None = None, now: EpochNumber | None = None
) -> tf.data.Dataset:
    """A split in memory -> (features, targets, weights), batch after batch.

    Args:
        prepared: the split that the batches are made of.
        batch_size: rows.
        seed: of the order, in which rows of like length share a batch, as with `data.batching: bucket`; None: the
            order of the data.
        now: which epoch it is; None: nothing changes from epoch to epoch.
    """
    steps = -(-len(prepared) // batch_size)

    def made() -> Iterator[tuple]:
        epoch = now.epoch if now else 0
        if seed is None:
            plan = _in_order(len(prepared), batch_size)
        else:
            plan = epoch_batches(prepared.tokens, batch_size, "bucket", seed, epoch)
        for number, rows in enumerate(plan):
            seen = prepared.at_step(epoch * steps + number) if now else prepared
            yield seen.batch(rows)

    dataset = tf.data.Dataset.from_generator(made, output_signature=signature_of(prepared))
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)


def streamed(dataset: tf.data.Dataset, prepare: Prepare, now: EpochNumber | None = None) -> tf.data.Dataset:
    """A pipeline of batches of (strings, labels) -> (features, targets, weights).

    Where an example is one row of the model, its batches stay as they are. Texts that are cut into windows or share
    rows give more or fewer rows, as many a batch as the pipeline has texts.

    Args:
        dataset: of batches.
        prepare: makes a split of some of them.
        now: which epoch it is; None: nothing changes from epoch to epoch.

    Raises:
        UserError: it has no batches, or nothing at all.
    """
    specs = tf.nest.flatten(dataset.element_spec)
    if any(spec.shape.rank == 0 for spec in specs):
        raise UserError("the data set is not batched; call .batch(32) on it first")
    first = next(batches_of(dataset.take(1)), None)
    if first is None:
        raise UserError("the data set is empty; give one with at least one batch")
    signature = signature_of(prepare(*first))

    def made() -> Iterator[tuple]:
        step = now.epoch * EPOCH_STEPS if now else 0
        for window in _windows(dataset):
            for batch in _rows_of(window, prepare, step if now else None):
                yield batch
                step += 1

    made_batches = tf.data.Dataset.from_generator(made, output_signature=signature)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2  # `made` runs pipelines of its own, which need threads beside its
    return made_batches.prefetch(2).with_options(options)


def weighed(prepared: Prepared, weights: Any, texts: int) -> Prepared:
    """The split with a caller's weight of each example.

    Raises:
        UserError: there are more or fewer weights than texts, or a row of the model is no text.
    """
    if weights is None:
        return prepared
    weights = np.asarray(weights, np.float32).reshape(-1)
    if len(weights) != texts:
        raise UserError(f"there are {texts} texts and {len(weights)} in sample_weight; give as many")
    if len(prepared) != texts:
        raise UserError("sample_weight: a text of this task has several rows or shares one; leave sample_weight out")
    return dataclasses.replace(prepared, weights=prepared.weights * weights)


def _in_order(rows: int, batch_size: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + batch_size, rows)) for start in range(0, rows, batch_size)]


def _windows(dataset: tf.data.Dataset) -> Iterator[list[tuple[Any, Any, Any]]]:
    """Batches, so many at a time that they have about WINDOW texts."""
    window: list[tuple[Any, Any, Any]] = []
    texts = 0
    for batch in batches_of(dataset):
        window.append(batch)
        texts += _size(batch[0])
        if texts >= WINDOW:
            yield window
            window, texts = [], 0
    if window:
        yield window


def _rows_of(window: list[tuple[Any, Any, Any]], prepare: Prepare, step: int | None) -> Iterator[tuple]:
    sizes = [_size(x) for x, _, _ in window]
    prepared = prepare(*(_joined(parts) for parts in zip(*window)))
    if len(prepared) == sum(sizes):
        plan = np.split(np.arange(len(prepared)), np.cumsum(sizes)[:-1])
    else:
        plan = _in_order(len(prepared), max(sizes))
    for number, rows in enumerate(plan):
        yield (prepared if step is None else prepared.at_step(step + number)).batch(rows)


def _size(x: Any) -> int:
    first = tf.nest.flatten(x)[0]
    return int(first.shape[0])


def _joined(parts: tuple[Any, ...]) -> Any:
    """Several batches of texts, or of labels, as one."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], dict):
        return {name: _joined(tuple(part[name] for part in parts)) for name in parts[0]}
    if isinstance(parts[0], tuple):
        return tuple(_joined(column) for column in zip(*parts))
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return [row for part in parts for row in plain(part)]
