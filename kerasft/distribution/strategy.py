"""The tf.distribute strategy that a config names, on the devices that this machine has."""

import functools
import os

import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.distribution import coordination
from kerasft.distribution.cluster import Cluster
from kerasft.distribution.threads import share_threads
from kerasft.distribution.tpu import tpu_strategy
from kerasft.errors import UserError


def create_strategy(config: Config, cluster: Cluster | None = None, microbatches: int = 1) -> tf.distribute.Strategy:
    """Creates the strategy.

    Must be called before TensorFlow touches a device: logical CPU devices and the connections of workers are fixed
    from then on, and so are threads.

    Args:
        config: the section `training` says which devices and how many.
        cluster: the workers that train; None: this process works alone, on what a `multi_worker` config finds here.
        microbatches: that a CPU may work through side by side.

    Raises:
        UserError: no such devices.
    """
    training = config.training
    gpus = tf.config.list_physical_devices("GPU")
    if cluster is not None:
        return _multi_worker(cluster, gpus, training.devices)
    name = choose_strategy(training.strategy, len(gpus), training.devices)
    if name == "one_device":
        share_threads(1 if gpus else microbatches)
        strategy = tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
    elif name == "mirrored":
        strategy = mirrored_over(_devices(gpus, training.devices))
    else:
        strategy = _tpu(config)
    return strategy


@functools.cache
def mirrored_over(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """The one mirrored strategy of this process over these devices.

    Each new one would number its collectives from the start again, and two that differ in shape under one
    number abort each other (TensorFlow 2.20).
    """
    return tf.distribute.MirroredStrategy(devices)


def choose_strategy(name: str, gpus: int, devices: int | None) -> str:
    """What `auto` stands for where there are no other workers: a Cloud TPU VM's chips, several devices, or one."""
    if name not in ("auto", "multi_worker"):
        return name
    if "TPU_NAME" in os.environ or "TPU_ACCELERATOR_TYPE" in os.environ:
        return "tpu"
    return "mirrored" if (devices or gpus) > 1 else "one_device"


def _devices(gpus: list, count: int | None) -> tuple[str, ...]:
    if gpus:
        if count is not None and count > len(gpus):
            raise UserError(f"training.devices: {count}, but this machine has {len(gpus)} GPUs")
        return tuple(f"/gpu:{i}" for i in range(count or len(gpus)))
    if count is None:
        raise UserError("training.strategy: mirrored without a GPU needs training.devices, the number of logical CPUs")
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [0]) != count:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    return tuple(f"/cpu:{i}" for i in range(count))


def _multi_worker(cluster: Cluster, gpus: list, count: int | None) -> tf.distribute.Strategy:
    """Every worker's GPUs, or its one CPU."""
    if count is not None and count > max(1, len(gpus)):
        raise UserError(
            f"training.devices: {count}, but this worker has {len(gpus)} GPUs; a worker without one has one replica"
        )
    if gpus:
        tf.config.set_visible_devices(gpus[:count], "GPU")
    os.environ["TF_CONFIG"] = cluster.tf_config
    coordination.configure(len(cluster.addresses))
    return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu(config: Config) -> tf.distribute.Strategy:
    if problem := config.many_shapes():  # where `auto` found a TPU
        raise UserError(problem)
    return tpu_strategy()
