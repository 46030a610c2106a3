"""Tokens a second of SmolLM2 beside transformers: the same weights, batch and numbers of tokens, in turns.

    python -m benchmarks.generation_throughput [--what training generation] [--rows 8] [--length 128] [--new 64]
        [--steps 4] [--rounds 3] [--precision bfloat16] [--peer-python PATH] [--peer-threads N]

Training is a step of --rows rows of --length random tokens, all of them learnt; generation is the greedy answers of
--new tokens to --rows prompts of --length tokens, and its tokens are those that are written. Both sides in bfloat16:
products alone in training, and here in generation, too, where transformers' weights are in bfloat16; --precision
float32 is what kerasft exports. Each side is a
process of its own that waits between its turns; a round is --steps calls of each, and the order changes from round to
round. The table at the end has medians over the rounds, and the ratio by wall clock and by processor seconds.
Without --peer-python an environment for Hugging Face is made in .peer/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from benchmarks.gguf_perplexity import PRESET
from benchmarks.sides import PEERS, make_peer
from benchmarks.train_throughput import Side, machine, table
from kerasft.models.presets.presets import resolve_preset

SHARED = ("rows", "length", "new", "precision")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=("training", "generation"), default=["training", "generation"])
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=128, help="tokens of a row, or of a prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--steps", type=int, default=4, help="calls of each side in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", help="of an environment with torch, transformers and gguf")
    parser.add_argument("--peer-threads", type=int, help="1 is many times faster where other work shares the cores")
    args = parser.parse_args()
    python, preset = args.peer_python or make_peer(), resolve_preset(PRESET)
    print(json.dumps(machine(python)))
    told = [part for name in SHARED for part in (f"--{name}", str(getattr(args, name)))]
    threads = ["--threads", str(args.peer_threads)] if args.peer_threads else []
    turns = []
    for what in args.what:
        commands = {
            "kerasft": [sys.executable, "-m", "benchmarks.paced_generation", what, *told],
            "hf": [python, str(PEERS / "hf_generation.py"), what, *told, "--model", preset, *threads],
        }
        sides = []
        try:
            for name, command in commands.items():
                sides.append(Side(name, command))
                sides[-1].take(1)  # traced, and memory at hand, before the next one starts
            for turn in range(args.rounds):
                for side in sides if turn % 2 == 0 else reversed(sides):
                    turns.append({"data": what, "round": turn, "side": side.name, **side.take(args.steps)})
                    print(json.dumps(turns[-1]), flush=True)
        finally:
            for side in sides:
                side.end()
    print(f"load average {os.getloadavg()[0]:.1f} at the end\n")
    print(table(turns))


if __name__ == "__main__":
    main()
