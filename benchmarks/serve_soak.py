"""What the local server does under twice the load it can bear, for long, and while its model is swapped many times.

    python -m benchmarks.serve_soak saved_models/NAME TEXTS [--minutes 10] [--swaps 100] [--capacity-seconds 20]

First its capacity is measured: requests/s that 32 clients get who ask as fast as they are answered. Then requests are
sent at twice that rate by the clock, whether or not earlier ones are answered (an open loop), with a queue of 64 rows,
so that what is too much is refused. Then 8 clients ask while new versions (copies) appear. A line of JSON every ten
seconds and every ten swaps, and a last one with the verdict. It passes where

- every request was answered (200) or refused (503), and requests were offered at 1.9 times the capacity or more;
- resident memory, fitted by a line through what was seen after the first fifth of the time, grew by less than 2 % of
  itself and 8 MiB over the whole time;
- no request of the swaps had another answer than 200, and every new version was served.

Exit code 1: it does not.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.askers import Askers
from benchmarks.serve_load import process
from kerasft.data.sources.sources import read_input
from kerasft.inference.export import find_version
from kerasft.serving.bundle import METRICS_PATH

Found = tuple[dict[str, Any], dict[str, bool]]
PATH = "/v1/models/model:predict"
CLIENTS = 32  # of the measurement
SENDERS = 256  # more than what waits and is worked on: 64 rows and a batch of 32
SWAPPING = 8
QUEUE_ROWS = 64
TIMES = 2.0
LEAST_TIMES = 1.9  # of the capacity; a sender that is held up for a moment is late
GROWTH_SHARE, GROWTH_MIB = 0.02, 8.0
LONGEST_SWAP_SECONDS = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--capacity-seconds", type=float, default=20.0)
    args = parser.parse_args()
    texts = [record.values["text"] for record in itertools.islice(read_input(args.texts, "auto"), 1000)]
    bodies = [json.dumps({"instances": [{"text": text}]}).encode() for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        shutil.copytree(find_version(args.model), model / "1")
        command = [sys.executable, "-m", "kerasft.serve", str(model), "--rest-port", "0", "--grpc-port", "0"]
        command += ["--queue-rows", str(QUEUE_ROWS)]
        with process(command, lambda line: '"event": "ready"' in line) as line:
            port = json.loads(line)["rest_port"]
            capacity = measure_capacity(port, bodies, args.capacity_seconds)
            overloaded, overload_faults = overload(port, bodies, capacity, args.minutes)
            swapped, swap_faults = swap(port, bodies, model, args.swaps)
    why = [reason for reason, wrong in (overload_faults | swap_faults).items() if wrong]
    print(json.dumps({"verdict": "fail" if why else "pass", "why": why} | overloaded | swapped), flush=True)
    sys.exit(bool(why))


def measure_capacity(port: int, bodies: list[bytes], seconds: float) -> float:
    """Requests/s of clients that wait for their answers; once warm."""
    for length in (min(3.0, seconds), seconds):
        with Askers(port, PATH, bodies, CLIENTS) as askers:
            time.sleep(length)
    found = askers.statuses["200"] / askers.seconds
    _tell(port, "capacity", requests_per_second=round(found, 1), answers=dict(askers.statuses))
    if not found:
        sys.exit("no request was answered")
    return found


def overload(port: int, bodies: list[bytes], capacity: float, minutes: float) -> Found:
    """Twice the capacity for so long: figures, and what is wrong with them."""
    seconds = 60 * minutes
    memory: list[tuple[float, float]] = []
    with Askers(port, PATH, bodies, SENDERS, rate=TIMES * capacity) as askers:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            time.sleep(min(10.0, seconds / 10, seconds - passed))
            memory.append((time.monotonic() - begun, _tell(port, "overload", answers=dict(askers.statuses))))
    answers = askers.statuses
    offered = sum(answers.values()) / askers.seconds
    growth = fitted_growth(memory, seconds)
    mean = float(np.mean([mib for _, mib in memory]))
    return {
        "capacity_per_second": round(capacity, 1),
        "offered_per_second": round(offered, 1),
        "answered_per_second": round(answers["200"] / askers.seconds, 1),
        "times_capacity": round(offered / capacity, 2),
        "overload_answers": dict(answers),
        "resident_mib": [round(mib, 1) for _, mib in memory],
        "growth_mib": round(growth, 2),
        "growth_mib_per_hour": round(growth * 3600 / seconds, 1),
    }, {
        "a request was neither answered nor refused": bool(set(answers) - {"200", "503"}),
        "nothing was answered": not answers["200"],
        "not twice the capacity was offered": offered < LEAST_TIMES * capacity,
        "memory grew": growth > GROWTH_SHARE * mean + GROWTH_MIB,
    }


def fitted_growth(memory: list[tuple[float, float]], seconds: float) -> float:
    """MiB that resident memory grows in so long, by a line through (seconds, MiB) after the first fifth."""
    late = [each for each in memory if each[0] >= memory[-1][0] / 5]
    if len(late) < 2:
        return 0.0
    slope, _ = np.polyfit(*zip(*late), 1)
    return float(slope) * seconds


def swap(port: int, bodies: list[bytes], model: Path, swaps: int) -> Found:
    """New versions under load, each once the one before it is served, then without the oldest: as `overload`."""
    served = 0
    with Askers(port, PATH, bodies, SWAPPING) as askers:
        for number in range(2, swaps + 2):
            shutil.copytree(model / str(number - 1), model / ".draft")
            (model / ".draft").rename(model / str(number))
            if not _served(port, number):
                break
            served += 1
            if number > 2:
                shutil.rmtree(model / str(number - 2))
            if number % 10 == 1:
                _tell(port, f"{served} swaps", answers=dict(askers.statuses))
    answers = askers.statuses
    return {
        "swaps": served,
        "swap_answers": dict(answers),
        "resident_mib_after_swaps": round(_tell(port, "swaps over", answers=dict(answers)), 1),
    }, {
        "a request failed while versions were swapped": set(answers) != {"200"},
        "a new version was not served": served < swaps,
    }


def _served(port: int, number: int) -> bool:
    """Waits for a version."""
    end = time.monotonic() + LONGEST_SWAP_SECONDS
    while time.monotonic() < end:
        if b'"AVAILABLE"' in _get(port, f"/v1/models/model/versions/{number}"):
            return True
        time.sleep(0.1)
    return False


def _tell(port: int, when: str, **figures: Any) -> float:
    """Prints a line; the server's resident memory in MiB."""
    memory = re.search(rb"^process_resident_memory_bytes (\S+)", _get(port, METRICS_PATH), re.MULTILINE)
    if memory is None:
        sys.exit("the server does not tell its memory")
    mib = float(memory[1]) / 2**20
    print(json.dumps({"when": when, **figures, "resident_mib": round(mib, 1)}), flush=True)
    return mib


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    main()
