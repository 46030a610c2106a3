"""Memory that a training step takes besides weights and optimizer: a batch whole, in parts, and rematerialized.

    python -m benchmarks.train_memory [--config CONFIG] [--rows 32] [--length 128] [--rounds 3]

Each variant is the trainer's step on random tokens in a process of its own. Memory is the highest resident size while
steps run less the size before the first; time is the median of the processor seconds of all threads. Linux.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs" / "banking77.yaml"), help="preset and optimizer")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variant", choices=VARIANTS, help="of a process that measures this one alone")
    args = parser.parse_args()
    if args.variant:
        print(json.dumps(measured(args.config, args.rows, args.length, args.rounds, VARIANTS[args.variant])))
        return
    print(f"| {args.rows} x {args.length} | memory of a step | processor time of a step |\n| --- | --- | --- |")
    for name in VARIANTS:
        command = [sys.executable, "-m", "benchmarks.train_memory", *sys.argv[1:], "--variant", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"| {name} | {found['bytes'] / 2**20:.0f} MiB | {found['seconds']:.2f} s |", flush=True)


def measured(path: str, rows: int, length: int, rounds: int, overrides: list[str]) -> dict[str, float]:
    from benchmarks.random_step import random_step
    from kerasft.config.load import load_config
    from kerasft.training.layers.precision import bfloat16_products

    config = load_config(path, overrides)
    step = random_step(config, rows, length)
    with bfloat16_products(True):
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
        taken = []
        for _ in range(rounds + 1):
            begun = time.process_time()
            step()
            taken.append(time.process_time() - begun)
    return {"bytes": _resident("VmHWM") - before, "seconds": statistics.median(taken[1:])}  # the first one is traced


def _resident(name: str) -> int:
    """Bytes, from the kernel's account of this process."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


if __name__ == "__main__":
    main()
