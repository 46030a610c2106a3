"""Batches of prepared features as a tf.data pipeline, each replica its own share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.batching.batching import pad_rows
from kerasft.data.batching.pack_plan import OFFSET, ROW, Packing
from kerasft.data.batching.remote_hosts import HERE, SentBatches, remote_hosts
from kerasft.data.prepared.beside import beside_batch, beside_shapes
from kerasft.data.prepared.prepared import Prepared


def distribute(
    prepared: Prepared,
    batches: Callable[[], Iterable[np.ndarray]],
    strategy: tf.distribute.Strategy,
    parts: int = 1,
    static_size: int | None = None,
    first_step: int | None = None,
    packing: Packing | None = None,
) -> tf.distribute.DistributedDataset | tf.data.Dataset | SentBatches:
    """The batches of `batches()` under a strategy: one global batch a step, without overlap or loss.

    Each input pipeline builds only the rows of its own replicas, so nothing is read to be thrown away
    and no automatic sharding takes part.

    Args:
        prepared: the split that the batches are made of.
        batches: gives the rows of each global batch; called once an iteration, the same in every process.
        strategy: where the batches go.
        parts: a replica's share is made to divide into this many equal parts (gradient accumulation).
        static_size: rows of every global batch, where the device needs one shape; None: as the batch has.
        first_step: of training, that of the first batch; None: the split is measured, without what stands beside its
            targets.
        packing: plans which texts share a row; None: each has its own.
    """
    replicas = strategy.num_replicas_in_sync

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def shares() -> Iterator:
            for number, rows in enumerate(batches()):
                rows_at_step = prepared if first_step is None else prepared.at_step(first_step + number)
                filled = pad_rows(rows, static_size or replicas * parts)
                filled = filled if packing is None else packing.deal(filled, replicas * parts)
                # Outputs that have a length can be gathered from all replicas only where it is the same.
                padded_with = filled if prepared.token_targets else None
                for share in np.split(filled, replicas)[first : first + local]:
                    features, targets, weights = rows_at_step.batch(share, static_size is not None, padded_with)
                    more = beside_batch(prepared, share, targets) if first_step is not None else {}
                    yield features | more | (packing.plan(share, parts) if packing else {}), targets, weights

        share = None if static_size is None else static_size // replicas
        signature = signature_of(prepared, share, packing, beside=first_step is not None)
        dataset = tf.data.Dataset.from_generator(shares, output_signature=signature)
        if first_step is not None:  # otherwise workers ask each other before each batch whether there is one
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        return dataset.prefetch(2 * local).with_options(_without_tuning())

    if hosts := remote_hosts(strategy):
        with tf.device(HERE):
            return SentBatches(pipeline(tf.distribute.InputContext(1, 0, replicas)), hosts, strategy)
    if _is_this_processor(strategy):
        return pipeline(tf.distribute.InputContext())
    return strategy.distribute_datasets_from_function(pipeline)


def _is_this_processor(strategy: tf.distribute.Strategy) -> bool:
    """Whether all of a batch goes to the processor that makes it: an iterator to devices would only cost time.

    Four functions are traced for each, and one that is thrown away waits for a thread of its own.
    """
    one = isinstance(strategy, tf.distribute.OneDeviceStrategy)
    return one and "CPU" in strategy.extended.worker_devices[0].upper()


def _without_tuning() -> tf.data.Options:
    """Options of a pipeline of which nothing is tuned: an iterator that goes away waits for the thread that tunes."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def part_of(batch: Any, index: int | tf.Tensor, parts: int) -> Any:
    """One of so many equal parts of a batch's tensors; the pipeline made its rows divide."""

    def cut(tensor: tf.Tensor) -> tf.Tensor:
        size = tf.shape(tensor)[0] // parts
        return tensor[index * size : (index + 1) * size]

    return batch if parts == 1 else tf.nest.map_structure(cut, batch)


def wants_one_shape(strategy: tf.distribute.Strategy) -> bool:
    """Whether the devices compile a program for each shape of a batch: those of a TPU, here or on other machines."""
    return isinstance(strategy, tf.distribute.TPUStrategy) or bool(remote_hosts(strategy))


def signature_of(
    prepared: Prepared, share: int | None = None, packing: Packing | None = None, beside: bool = False
) -> tuple:
    """The form of a replica's share of a batch; with a fixed number of rows every dimension is fixed.

    Args:
        prepared: the split that the batches are made of.
        share: rows of it; None: any number.
        packing: plans which texts share a row; None: each has its own.
        beside: with what stands beside the targets.
    """

    def shape(inner: tuple[int | None, ...], longest: int = prepared.longest) -> list[int | None]:
        if share is None:
            return [None, *inner]
        return [share, *(longest if size is None else size for size in inner)]

    features = {
        name: tf.TensorSpec(shape(prepared.feature_shape, prepared.longest_of(name)), dtype)
        for name, dtype in prepared.feature_types.items()
    }
    for name in (ROW, OFFSET) if packing else ():
        features[name] = tf.TensorSpec(shape(prepared.feature_shape[:-1]), tf.int32)
    for name, inner in beside_shapes(prepared).items() if beside else ():
        features[name] = tf.TensorSpec(shape(inner, prepared.longest_targets), tf.float32)
    targets = tf.TensorSpec(shape(prepared.target_shape, prepared.longest_targets), prepared.targets.dtype)
    return features, targets, tf.TensorSpec([share], tf.float32)
