"""Memory that a training step takes: a batch whole, in parts, and rematerialized; or by methods of model.peft.

    python -m benchmarks.train_memory [--config CONFIG] [--rows 32] [--length 128] [--rounds 3] [--methods]

Each variant is the trainer's step on random tokens in a process of its own. "Step" is the highest resident size while
steps run less the size before the first; "all" is less the size before the model was loaded, so that weights and
optimizer are in it, but not what loading alone takes. Time is the median of processor seconds of all threads. Linux.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.sides import ROOT

VARIANTS = {
    "as it is": [],
    "training.gradient_accumulation: 4": ["training.gradient_accumulation=4"],
    "training.rematerialize": ["training.rematerialize=true"],
    "both": ["training.gradient_accumulation=4", "training.rematerialize=true"],
}
METHODS = {
    "all weights": [],
    "lora": ["model.peft.method=lora"],
    "qlora, int8": ["model.peft.method=qlora", "model.peft.quantization=int8"],
    "qlora, nf4": ["model.peft.method=qlora"],
    "lora, rematerialized": ["model.peft.method=lora", *VARIANTS["training.rematerialize"]],
    "qlora, nf4, rematerialized": ["model.peft.method=qlora", *VARIANTS["training.rematerialize"]],
}
EVERY = VARIANTS | METHODS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs" / "banking77.yaml"), help="preset and optimizer")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variant", choices=EVERY, help="of a process that measures this one alone")
    parser.add_argument("--methods", action="store_true", help="compare methods of model.peft")
    args = parser.parse_args()
    if args.variant:
        print(json.dumps(measured(args.config, args.rows, args.length, args.rounds, EVERY[args.variant])))
        return
    print(f"| {args.rows} x {args.length} | step | all | processor time of a step |\n| --- | --- | --- | --- |")
    for name in METHODS if args.methods else VARIANTS:
        command = [sys.executable, "-m", "benchmarks.train_memory", *sys.argv[1:], "--variant", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        step, held = (f"{found[key] / 2**20:.0f} MiB" for key in ("bytes", "held"))
        print(f"| {name} | {step} | {held} | {found['seconds']:.2f} s |", flush=True)


def measured(path: str, rows: int, length: int, rounds: int, overrides: list[str]) -> dict[str, float]:
    from benchmarks.random_step import random_step
    from kerasft.config.load import load_config
    from kerasft.training.layers.precision import bfloat16_products

    config, empty = load_config(path, overrides), _resident("VmRSS")  # TensorFlow is imported
    step = random_step(config, rows, length)
    with bfloat16_products(True):
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
        taken = []
        for _ in range(rounds + 1):
            begun = time.process_time()
            step()
            taken.append(time.process_time() - begun)
    highest, seconds = _resident("VmHWM"), statistics.median(taken[1:])  # the first one is traced
    return {"bytes": highest - before, "held": highest - empty, "seconds": seconds}


def _resident(name: str) -> int:
    """Bytes, from the kernel's account of this process."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


if __name__ == "__main__":
    main()
