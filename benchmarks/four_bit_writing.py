"""How fast a run that is stored in int4 writes: in float32, in bfloat16 and by its 4 bits, in turn.

    python -m benchmarks.four_bit_writing RUN [--rows 1] [--length 64] [--new 64] [--rounds 5] [--threads N]

RUN writes texts and is stored in int4: `kerasft compress RUN method=quantize storage=int4`. --rows prompts of --length
random tokens are answered greedily with --new tokens, which no end token ends. The three sides are those of `kerasft
predict --precision`, in one process, and take turns. The table has the least milliseconds a token (of all rows
together) over the rounds, with the prompt's reading taken off: what an answer of --new tokens takes longer than one of
1, and that of bfloat16 over each.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--length", type=int, default=64, help="tokens of a prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    from kerasft.console.terminal import quiet_tensorflow

    quiet_tensorflow(False)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    from kerasft.inference.stored_weights import write_by_stored
    from kerasft.runs import Run
    from kerasft.training.layers.precision import bfloat16_products

    run = Run.open(args.run)
    trained = run.load()
    generator = trained.task.generator
    settings, longest = generator.decoding, generator.decoder.max_length
    if settings.beams > 1 or settings.stop or args.length + args.new > longest:
        sys.exit(f"{args.run}: needs no beams, no stop texts, and {args.length + args.new} tokens; it has {longest}")
    generator.detokenizer.ordinary |= generator.detokenizer.special
    generator.detokenizer.special[:] = False
    ids = np.random.default_rng(0).integers(10, generator.decoder.backbone.vocabulary_size, (args.rows, args.length))
    features = {"token_ids": tf.constant(ids, tf.int32), "lengths": tf.fill([args.rows], args.length)}

    def side(bfloat16: bool) -> Callable[[int], None]:
        """Traced as the generator is now."""

        @tf.function(autograph=False)
        def answer(count: tf.Tensor) -> tf.Tensor:
            wishes = generator.sampling_params(features)._replace(max_new_tokens=tf.fill([args.rows], count))
            wishes = wishes._replace(temperature=tf.zeros([args.rows]))
            return generator(features, wishes)["tokens"]

        def write(count: int) -> None:
            with bfloat16_products(bfloat16):
                written = answer(tf.constant(count)).numpy()
            assert (written == count).all(), written

        write(args.new)
        return write

    sides = {"float32": side(False)}
    generator.bfloat16 = True
    sides["bfloat16"] = side(True)
    generator.bfloat16 = False
    write_by_stored(run, trained, print)
    sides["int4"] = side(False)
    report(least(sides, args), args)


def least(sides: dict[str, Callable[[int], None]], args: argparse.Namespace) -> dict[str, dict[int, float]]:
    """Seconds of a short and of a whole answer, of each side."""
    best: dict[str, dict[int, float]] = {name: {1: float("inf"), args.new: float("inf")} for name in sides}
    for _ in range(args.rounds):
        for name, write in sides.items():
            for count in best[name]:
                begun = time.perf_counter()
                write(count)
                best[name][count] = min(best[name][count], time.perf_counter() - begun)
    return best


def report(best: dict[str, Any], args: argparse.Namespace) -> None:
    each = {name: (times[args.new] - times[1]) / (args.new - 1) for name, times in best.items()}
    print(f"{'precision':10} {'ms a token':>11} {'bfloat16 / it':>14} {'whole answer, ms':>17}")
    for name, seconds in each.items():
        whole = 1e3 * best[name][args.new]
        print(f"{name:10} {1e3 * seconds:11.2f} {each['bfloat16'] / seconds:14.2f} {whole:17.0f}")


if __name__ == "__main__":
    main()
