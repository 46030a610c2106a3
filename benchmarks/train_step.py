"""What each cheaper form of a layer buys: processor time of a training step, side by side with Keras' own layers.

    python -m benchmarks.train_step [--config CONFIG] [--lengths 16 128] [--rows 32] [--rounds 5]

Every variant is the trainer's step in mixed_bfloat16 on random tokens. Variants take turns, a step each, so that what
else the machine does meets all of them alike; what is compared is the median of the processor seconds of all threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Collection

import keras
import numpy as np
import tensorflow as tf

from benchmarks.sides import ROOT
from kerasft.config.load import load_config
from kerasft.models.blocks import layer_depths
from kerasft.models.presets import load_backbone, resolve_preset
from kerasft.tasks.registry import create_task
from kerasft.training.fused_layers import FORMS
from kerasft.training.optimizer import create_optimizer
from kerasft.training.precision import bfloat16_products
from kerasft.training.step import make_train_step

VARIANTS = {"Keras": (), **{name: (name,) for name in FORMS}, "all of them": tuple(FORMS)}
LABELS = 77


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=ROOT / "configs" / "banking77.yaml", help="preset and optimizer")
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    config = load_config(args.config, [])
    print("| layers | " + " | ".join(f"{args.rows} x {length}" for length in args.lengths) + " |")
    print("| --- |" + " --- |" * len(args.lengths))
    columns = [seconds(config, args.rows, length, args.rounds) for length in args.lengths]
    for name in VARIANTS:
        cells = (f"{column[name]:.3f} s, {column['Keras'] / column[name]:.2f} times" for column in columns)
        print(f"| {name} | " + " | ".join(cells) + " |")


def seconds(config, rows: int, length: int, rounds: int) -> dict[str, float]:
    """Median processor seconds of a step of each variant."""
    steps = {name: variant(config, rows, length, forms) for name, forms in VARIANTS.items()}
    taken = {name: [] for name in steps}
    with bfloat16_products(True):
        for turn in range(rounds + 1):
            for name, step in steps.items():
                begun = time.process_time()
                step()
                if turn:  # the first one is traced
                    taken[name].append(time.process_time() - begun)
    return {name: statistics.median(values) for name, values in taken.items()}


def variant(config, rows: int, length: int, forms: Collection[str]) -> Callable[[], float]:
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    task = create_task(config, {"labels": [str(i) for i in range(LABELS)]})
    with strategy.scope():
        backbone = load_backbone(resolve_preset(config.model.preset), dtype="float32")
        model = task.build(backbone)
        optimizer = create_optimizer(config.training, 1000, model, layer_depths(backbone))
    random = np.random.default_rng(0)
    known = {
        "token_ids": random.integers(1, backbone.vocabulary_size, (rows, length)),
        "padding_mask": np.ones((rows, length)),
        "segment_ids": np.zeros((rows, length)),
    }
    features = {name: tf.constant(known[name], tf.int32) for name in model.input}
    batch = (features, tf.constant(random.integers(0, LABELS, rows), tf.int32), tf.ones(rows))
    step = tf.function(make_train_step(model, task, optimizer, strategy, fused=forms))
    return lambda: float(step(batch))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main()
