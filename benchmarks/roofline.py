"""Where a training step goes: achieved FLOP/s beside the peak of matrix products of its shapes, and time by kind of op.

    python -m benchmarks.roofline [--config CONFIG] [--rows 32] [--lengths 16 128] [--rounds 5]

The step is the trainer's own on random tokens; FLOPs are those of its dense layers and of attention, forward and back,
counted from the model. The peak is that of the products which the step is made of: kerasft's own where this processor
has them, oneDNN's elsewhere. Seconds are processor seconds of all threads, so that what else the machine does counts
less; ops are timed by TensorFlow's profiler, by the clock, and told as shares. Regions that XLA compiled
(`training.fused`: activations) have no ops of their own and are not among them. Run it on one core (`taskset -c 0`):
threads that wait for each other count as processor time.
"""

from __future__ import annotations

import argparse
import collections
import glob
import re
import statistics
import tempfile
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks.random_step import random_step
from benchmarks.sides import ROOT
from kerasft.config.load import load_config
from kerasft.kernels import operations
from kerasft.models.blocks import transformer_blocks
from kerasft.models.presets.presets import load_backbone, resolve_preset
from kerasft.training.layers.fused_layers import KERNELS, chosen_forms
from kerasft.training.layers.precision import bfloat16_products

PASSES = 3  # forward, and back to the inputs and to the weights, as many FLOPs each
GROUPS = {  # op -> what it is part of; the others are element-wise
    "matrix products": ("MatMul", "Einsum", "KerasftProduct", "KerasftPack"),
    "Adam": ("ResourceApplyAdam", "KerasftAdam"),
    "norm of the gradient": ("L2Loss",),
    "random numbers": ("StatelessRandom",),
    "attention between its projections": ("KerasftAttention", "Softmax"),
    "normalisation, GELU": ("KerasftNorm", "KerasftResidual", "KerasftGelu", "KerasftActivation"),
    "moving data": ("Transpose", "Cast", "Gather", "Reshape", "Concat", "Slice", "Pack"),
    "sums over rows": ("BiasAddGrad", "UnsortedSegmentSum", "Mean", "Sum", "AddN"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=ROOT / "configs" / "banking77.yaml", help="preset and optimizer")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    config = load_config(args.config, [])
    backbone = load_backbone(resolve_preset(config.model.preset), dtype="float32")
    for length in args.lengths:
        with bfloat16_products(config.training.precision == "mixed_bfloat16"):
            peak = product_peak(products(backbone), args.rows * length, config.training.precision, args.rounds)
            step = random_step(config, args.rows, length)
            seconds, shares = profiled(step, args.rounds)
        done = flops(backbone, args.rows, length)
        print(f"{args.rows} x {length}: {seconds:.3f} s, {done / 1e9:.0f} GFLOP, {done / seconds / 1e9:.0f} GFLOP/s")
        print(f"peak for these shapes {peak / 1e9:.0f} GFLOP/s; the step has {done / seconds / peak:.0%} of it")
        print("| part | share of op time |\n| --- | --- |")
        for name, share in shares.items():
            print(f"| {name} | {share:.1%} |")


def products(backbone: keras.Model) -> list[tuple[int, int]]:
    """(inner, outer) of each dense layer of the transformer layers, attention's projections included."""
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    layers = [layer for block in transformer_blocks(backbone) for layer in block._flatten_layers()]
    kernels = [(layer.kernel.shape, layer.bias.shape) for layer in layers if isinstance(layer, dense)]
    return [(int(np.prod(kernel)) // int(np.prod(bias)), int(np.prod(bias))) for kernel, bias in kernels]


def flops(backbone: keras.Model, rows: int, length: int) -> float:
    """Of a step, as if every layer computed every token."""
    dense = sum(2 * rows * length * inner * outer for inner, outer in products(backbone))
    blocks, width = transformer_blocks(backbone), backbone.hidden_dim
    attention = len(blocks) * 2 * (2 * rows * length * length * width)  # scores, and the sums by them
    return PASSES * (dense + attention)


def product_peak(shapes: list[tuple[int, int]], tokens: int, precision: str, rounds: int) -> float:
    """FLOP/s of the dense layers' three products alone, one after the other, operands ready in the form they need."""
    dtype = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    own = dtype == tf.bfloat16 and KERNELS in chosen_forms(None) and operations.has_products()
    random = np.random.default_rng(0)

    def values(*shape: int) -> tf.Tensor:
        return tf.cast(tf.constant(random.normal(size=shape), tf.float32), dtype)

    def ready(kernel: tf.Tensor):
        return operations.pack(tf.cast(kernel, tf.float32)) if own else kernel

    kinds = [(values(tokens, a), values(tokens, b), ready(values(a, b))) for a, b in sorted(set(shapes))]
    counts = [shapes.count(shape) for shape in sorted(set(shapes))]

    @tf.function
    def three(x, upstream, kernel):
        if own:
            sides = ((x, kernel[0], upstream.shape[1]), (upstream, kernel[1], x.shape[1]))
            return *(operations.by_packed(*side) for side in sides), *operations.product_gradients([x], [upstream])
        to_inputs, to_weights = tf.matmul(upstream, kernel, transpose_b=True), tf.matmul(x, upstream, transpose_a=True)
        return x @ kernel, to_inputs, to_weights

    def run() -> None:
        for operands, count in zip(kinds, counts):
            for _ in range(count):
                three(*operands)

    work = PASSES * sum(2 * tokens * a * b for a, b in shapes)
    return work / processor_seconds(run, rounds)


def processor_seconds(function: Callable[[], object], rounds: int) -> float:
    """Median; the first two calls, which trace and fill caches, are not counted."""
    taken = []
    for _ in range(rounds + 2):
        begun = time.process_time()
        function()
        taken.append(time.process_time() - begun)
    return statistics.median(taken[2:])


def profiled(step: Callable[[], float], rounds: int) -> tuple[float, dict[str, float]]:
    """Processor seconds of a step, and the share of op time of each group, largest first."""
    seconds, taken = processor_seconds(step, rounds), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        step()
        tf.profiler.experimental.stop()
        (path,) = glob.glob(f"{folder}/plugins/profile/*/*.xplane.pb")
        with open(path, "rb") as file:
            space = xplane_pb2.XSpace.FromString(file.read())
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name, colon, op = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if colon and re.fullmatch(r"\w+", op) and not name.endswith(":"):  # an op of the graph is NODE:KIND
                taken[group(op)] += event.duration_ps
    return seconds, {name: count / taken.total() for name, count in taken.most_common()}


def group(op: str) -> str:
    return next((name for name, parts in GROUPS.items() if any(part in op for part in parts)), "element by element")


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main()
