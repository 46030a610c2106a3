"""kerasft's side of `generation_throughput`: steps of training, or answers to a batch of prompts, on order.

    python -m benchmarks.paced_generation training|generation [--rows 8] [--length 128] [--new 64]
        [--precision bfloat16]

Tokens are random ones, the same as those of benchmarks/peers/hf_generation.py. Training is the trainer's own step, as
`training.precision: mixed_bfloat16` has it; generation is that of the served model, greedy, in bfloat16 as `kerasft
predict --precision mixed_bfloat16` has it, and no token ends an answer. See benchmarks/peers/pacing.py for the orders.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.gguf_perplexity import PRESET
from benchmarks.peers.pacing import Pace
from benchmarks.random_step import random_step
from kerasft.config.schema import Config
from kerasft.console.terminal import quiet_tensorflow
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset
from kerasft.training.layers.precision import bfloat16_products


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("training", "generation"))
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=128, help="tokens of a row, or of a prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    args = parser.parse_args()
    quiet_tensorflow(False)
    work, tokens = (training if args.what == "training" else generation)(args), args.rows * args.length
    pace = Pace()
    with bfloat16_products(args.precision == "bfloat16"):
        pace.begin()
        while True:
            work()
            pace.after_step(args.rows, tokens if args.what == "training" else args.rows * args.new)


def settings(length: int) -> Config:
    return Config.model_validate(
        {
            "name": "speed",
            "task": {"name": "text_generation"},
            "model": {"preset": PRESET, "max_length": length},
            "data": {"train": "none.txt", "columns": {"text": "text"}},
        }
    )


def training(args: argparse.Namespace) -> Callable[[], object]:
    return random_step(settings(args.length), args.rows, args.length)


def generation(args: argparse.Namespace) -> Callable[[], object]:
    import tensorflow as tf

    from kerasft.config.text_generation import DecodingConfig
    from kerasft.models.generation.cached_decoder import CausalDecoder
    from kerasft.models.generation.generator import Generator
    from kerasft.models.tokenizers.detokenizer import Detokenizer

    preset = resolve_preset(PRESET)
    backbone = load_backbone(preset, dtype="float32")
    detokenizer = Detokenizer(load_tokenizer(preset), backbone.vocabulary_size)
    detokenizer.ordinary |= detokenizer.special
    detokenizer.special[:] = False
    decoder = CausalDecoder(backbone, args.length + args.new)
    generator = Generator(decoder, detokenizer, DecodingConfig(max_new_tokens=args.new))
    generator.bfloat16 = args.precision == "bfloat16"
    ids = np.random.default_rng(0).integers(10, backbone.vocabulary_size, (args.rows, args.length))
    features = {"token_ids": tf.constant(ids, tf.int32), "lengths": tf.fill([args.rows], args.length)}
    answer = tf.function(lambda given: generator(given, generator.sampling_params(given)))

    def work() -> None:
        written = answer(features)["tokens"].numpy()
        assert (written == args.new).all(), written

    return work


if __name__ == "__main__":
    main()
