"""What a training needs and leaves: parameters, memory, bytes of a checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.models.parameter_counts import count_parameters
from kerasft.peft.base import Method
from kerasft.training.checkpoints.checkpoint import Checkpoints


def footprint(model: keras.Model, method: Method | None, config: Config, checkpoints: Checkpoints) -> dict[str, Any]:
    """The section `model` of `metrics.json`, at the end of a training; bytes, None where they can't be known."""
    trained, every = count_parameters(model, method.bookkeeping if method else ())
    found = {
        "preset": config.model.preset,
        "parameters": every,
        "trainable_parameters": trained,
        "trainable_share": trained / every,
        "peak_memory_bytes": peak_memory(),
        "device_peak_memory_bytes": device_peak_memory(),
        "checkpoint_bytes": checkpoint_bytes(checkpoints),
    }
    return found | ({"peft": {"method": method.name, **method.figures}} if method else {})


def peak_memory() -> int:
    """The most memory that this process has held so far, on the host."""
    status = Path("/proc/self/status")
    if status.exists():  # not getrusage: that begins with what the parent held when it forked
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def device_peak_memory() -> int | None:
    """The same of the GPU that has held most; None: there is none."""
    devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    return max((tf.config.experimental.get_memory_info(name)["peak"] for name in devices), default=None)


def checkpoint_bytes(checkpoints: Checkpoints) -> int | None:
    """All files of the newest checkpoint that is whole; None: there is none."""
    entries, _ = checkpoints.states.entries()
    if not entries:
        return None
    return sum(tf.io.gfile.stat(file).length for file in tf.io.gfile.glob(f"{entries[0].prefix}.*"))
