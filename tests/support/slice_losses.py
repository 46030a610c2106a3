"""Kills a host of a TPU slice under a training, and compares what it ends with.

    python tests/support/slice_losses.py     in an empty folder

Prints the line of JSON of losses.py.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from agreement import ended, start_on_slice
from losses import compare, newest_step
from slice_hosts import serving_hosts

from kerasft.launch import free_addresses

TRAINING = {"strategy": "tpu", "steps_per_loop": 3, "checkpoint": {"every_steps": 4, "keep": 2}}
TRAINING |= {"steps": 18, "evaluate_every": 7, "ema": 0.9}


def main() -> int:
    return compare(TRAINING, lambda: [_break_at(8)], lambda name: [_whole(f"{name}.yaml")])


def _break_at(step: int) -> dict[str, Any]:
    """Kills host 1 once there is a checkpoint of this step."""
    with serving_hosts(free_addresses(2)) as hosts:
        process = start_on_slice("broken.yaml", hosts.name, "--resume")
        while newest_step() < step:
            if os.waitpid(process, os.WNOHANG)[0]:
                raise RuntimeError(f"the training ended before step {step}; see broken.0.log")
            time.sleep(0.01)
        hosts.kill(1)
        begun = time.monotonic()
        (code,) = ended([process])
        return {"code": code, "seconds": time.monotonic() - begun}


def _whole(config: str) -> int:
    with serving_hosts(free_addresses(2)) as hosts:
        return ended([start_on_slice(config, hosts.name, "--resume")])[0]


if __name__ == "__main__":
    sys.exit(main())
