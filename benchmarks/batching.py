"""What `data.batching` leaves of padding in the batches of an epoch, and what a training step then costs.

    python -m benchmarks.batching CONFIG [key=value ...] [--rounds 0]

The share of padding is that of the tokens which the transformer layers work on. With --rounds each method takes so many
steps of the config's own training, in turns, so that what else the machine does meets all alike. Told are the processor
seconds of all threads for as many tokens as a step of the epoch has in the mean: those of a few steps differ in length.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kerasft.assembly import Assembled, assemble
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.data.batching.batching import epoch_batches
from kerasft.data.batching.dataset import distribute
from kerasft.data.batching.epochs import Epochs
from kerasft.data.batching.pack_plan import OFFSET, ROW, Packing, RowShape, rounded
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.splits import load_splits
from kerasft.models.blocks import layer_depths
from kerasft.models.presets.presets import resolve_preset
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task
from kerasft.training.layers.fused_layers import chosen_forms
from kerasft.training.layers.packed_layers import PackedLayers
from kerasft.training.layers.precision import bfloat16_products, layer_policy, rewrites
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

METHODS = ("pad", "bucket", "pack")
UNCOUNTED = 2  # steps: the first is traced, and the second fills caches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--rounds", type=int, default=0)
    args = parser.parse_intermixed_args()
    config = load_config(args.config, args.overrides)
    task = create_task(config)
    tables = load_splits(config, task)
    preset, policy = resolve_preset(config.model.preset), layer_policy(config.training.precision)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        built = assemble(config, task, train=tables["train"], preset=preset, policy=policy)
    prepared = task.prepare(tables["train"], built.preprocessor, weighted=True)
    size = config.training.batch_size
    print(f"{len(prepared):,} rows of {prepared.lengths.mean():.1f} tokens, {size} a step")
    print("| batches | tokens worked on a step | of them padding |\n| --- | --- | --- |")
    found = shares(prepared, size, config.seed)
    for name, (slots, tokens) in found.items():
        print(f"| {name} | {slots:,.0f} | {1 - tokens / slots:.1%} |")
    if args.rounds:
        taken = seconds(config, task, built, prepared, strategy, args.rounds)
        print("| batches | processor seconds a step | examples a second, by pad's |\n| --- | --- | --- |")
        for name in METHODS:
            steps = Epochs(prepared.lengths, size, name, config.seed).from_step(UNCOUNTED)
            slots = [_slots(prepared, rows, name == "pack") for rows in itertools.islice(steps, args.rounds)]
            taken[name] *= found[name][0] / float(np.mean(slots))
            each = taken[name]
            print(f"| {name} | {each:.3f} | {taken['pad'] / each:.2f} |")


def shares(prepared: Prepared, size: int, seed: int) -> dict[str, tuple[float, float]]:
    """Tokens that a step works on and that are real, in the mean of an epoch's full batches, by how they are made."""
    found = {}
    for name in METHODS:
        batches = [rows for rows in epoch_batches(prepared.lengths, size, name, seed, 0) if len(rows) == size]
        slots = [_slots(prepared, rows, name == "pack") for rows in batches]
        found[name] = float(np.mean(slots)), float(np.mean([prepared.lengths[rows].sum() for rows in batches]))
    texts, tokens = prepared.text_lengths, found["pack"][1]
    found["pad, one shape"] = float(texts.shape[1] * size * rounded(prepared.longest)), tokens
    epochs = (epoch_batches(prepared.lengths, size, "pack", seed, epoch) for epoch in range(3))
    shape = Packing.of_one_shape(texts, epochs, size, 1).shape
    found[f"pack, one shape: {shape.rows} rows of {shape.length}"] = float(shape.rows * shape.length), tokens
    return found


def _slots(prepared: Prepared, rows: np.ndarray, packs: bool) -> int:
    lengths = prepared.text_lengths[rows]
    if not packs:
        return lengths.size * prepared.padded_length(int(lengths.max()))
    plan = Packing(prepared.text_lengths).plan(rows, 1)
    end = (plan[OFFSET].reshape(lengths.shape) + lengths).max()
    return RowShape(1 + int(plan[ROW].max()), rounded(end)).tokens


def seconds(
    config: Config, task: Task, built: Assembled, prepared: Prepared, strategy: tf.distribute.Strategy, rounds: int
) -> dict[str, float]:
    """Processor seconds of a step, mean over the rounds."""
    steps = {name: _steps(config, task, built, prepared, strategy, name) for name in METHODS}
    taken = dict.fromkeys(steps, 0.0)
    with bfloat16_products(rewrites(config.training.precision)):
        for turn in range(-UNCOUNTED, rounds):
            for name, step in steps.items():
                begun = time.process_time()
                next(step)
                taken[name] += (time.process_time() - begun) * (turn >= 0)
    return {name: total / rounds for name, total in taken.items()}


def _steps(
    config: Config, task: Task, built: Assembled, prepared: Prepared, strategy: tf.distribute.Strategy, method: str
) -> Iterator[float]:
    """The losses of a training, a step each."""
    with strategy.scope():
        optimizer = create_optimizer(config.training, 1000, built.model, layer_depths(built.backbone))
    packed = PackedLayers(built.model) if method == "pack" else None
    forms = chosen_forms(config.training.fused)
    objective = TaskLoss(built.model, task)
    step = make_train_step(StepPlan(built.model, objective, optimizer, strategy, fused=forms, packed=packed))
    epochs = Epochs(prepared.lengths, config.training.batch_size, method, config.seed)
    dataset = distribute(
        prepared,
        lambda: epochs.from_step(0),
        strategy,
        first_step=0,
        packing=Packing(prepared.text_lengths) if packed else None,
    )
    iterator = iter(dataset)

    @tf.function
    def run(iterator):
        return step(next(iterator))

    while True:
        yield float(run(iterator))


if __name__ == "__main__":
    main()
