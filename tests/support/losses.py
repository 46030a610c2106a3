"""Kills and stops workers of one training again and again, and compares what it ends with.

    python tests/support/losses.py [BREAKS]     in an empty folder; how many, from the first of `BREAKS` on

Prints a line of JSON: what each attempt ended with, and the digests of the whole and of the broken run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agreement import RECIPES, _in_a_fork, _make_preset, _preload, _write_config, _write_rows, ended, start

# Signal, to which worker, once there is a checkpoint of this step.
BREAKS = [(signal.SIGKILL, 1, 8), (signal.SIGKILL, 0, 16), (signal.SIGTERM, 1, 24)]
TRAINING = {"strategy": "multi_worker", "checkpoint": {"every_steps": 4, "keep": 2}}
TRAINING |= {"evaluate_every": 10, "ema": 0.9}


def main() -> int:
    breaks = BREAKS[: int(sys.argv[1])] if sys.argv[1:] else BREAKS
    return compare(
        {**TRAINING, "steps": breaks[-1][2] + 10},
        lambda: [_break("broken.yaml", *how) for how in breaks],
        lambda name: ended(start(f"{name}.yaml", 2, "--resume")),
    )


def compare(training: dict[str, Any], breaks: Callable[[], list[Any]], to_the_end: Callable[[str], list[int]]) -> int:
    """Runs broken.yaml as `breaks` does, then it and whole.yaml to the end, and prints what came of it."""
    _in_a_fork(_make_preset)
    _preload()
    _write_rows()
    names = ("broken", "whole")
    for name in names:
        _write_config(name, {**RECIPES["classification"], "dropout": 0.1}, training)
    attempts, codes = breaks(), [to_the_end(name) for name in names]
    digests = [json.loads(Path("runs", name, "metrics.json").read_text())["training"] for name in names]
    print(json.dumps({"attempts": attempts, "codes": codes, "sha256": [found["sha256"] for found in digests]}))
    return 0


def _break(config: str, number: int, worker: int, step: int) -> dict[str, Any]:
    processes = start(config, 2, "--resume")
    while newest_step() < step:
        if os.waitpid(processes[0], os.WNOHANG)[0]:
            raise RuntimeError(f"the chief ended before step {step}; see broken.0.log")
        time.sleep(0.01)
    os.kill(processes[worker], number)
    begun = time.monotonic()
    codes = ended(processes)
    return {"codes": codes, "seconds": time.monotonic() - begun, "step": newest_step()}


def newest_step() -> int:
    steps = [0]
    for manifest in Path("runs/broken/checkpoints").glob("ckpt-*.json"):
        try:
            steps.append(json.loads(manifest.read_text())["step"])
        except FileNotFoundError:  # a newer one has just taken its place
            continue
    return max(steps)


if __name__ == "__main__":
    sys.exit(main())
