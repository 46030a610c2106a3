"""What each cheaper form of a layer buys: processor time of a training step, side by side with Keras' own layers.

    python -m benchmarks.train_step [--config CONFIG] [--lengths 16 128] [--rows 32] [--rounds 5]

Every variant is the trainer's step in mixed_bfloat16 on random tokens. Variants take turns, a step each, so that what
else the machine does meets all of them alike; what is compared is the median of the processor seconds of all threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Collection

import keras

from benchmarks.random_step import random_step
from benchmarks.sides import ROOT
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.training.layers.fused_layers import NAMES
from kerasft.training.layers.precision import bfloat16_products

VARIANTS = {"Keras": (), **{name: (name,) for name in NAMES}, "all of them": NAMES}


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
    steps = {name: random_step(with_forms(config, forms), rows, length) for name, forms in VARIANTS.items()}
    taken = {name: [] for name in steps}
    with bfloat16_products(True):
        for turn in range(rounds + 1):
            for name, step in steps.items():
                begun = time.process_time()
                step()
                if turn:  # the first one is traced
                    taken[name].append(time.process_time() - begun)
    return {name: statistics.median(values) for name, values in taken.items()}


def with_forms(config: Config, forms: Collection[str]) -> Config:
    training = config.training.model_copy(update={"fused": list(forms)})
    return config.model_copy(update={"training": training})


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main()
