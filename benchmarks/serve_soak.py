"""What the local server does under too much load for long, and while its model is swapped again and again.

    python -m benchmarks.serve_soak saved_models/NAME TEXTS [--minutes 10] [--clients 64] [--swaps 100]

First `--clients` threads ask as fast as they are answered, with a queue that is shorter than their number, so that the
server is overloaded all the time; then 8 threads ask while new versions (copies) appear. A line of JSON every ten
seconds and after every ten swaps: answers by status, and the server's resident memory. Every request must be answered
or refused, and no request may fail for a swap.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import itertools
import json
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.serve_load import process
from kerasft.data.sources import read_input
from kerasft.serving.bundle import METRICS_PATH
from kerasft.serving.saved_model import find_version


class Askers:
    """Threads that ask until they are told to stop; a count of the statuses, `none` where a connection failed."""

    def __init__(self, port: int, path: str, texts: list[str], threads: int):
        self.statuses: collections.Counter[str] = collections.Counter()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._asked = (port, path, texts)
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(threads)]

    def _ask(self, number: int) -> None:
        port, path, texts = self._asked
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for text in itertools.cycle(texts[number:] + texts[:number]):
            if self._stop.is_set():
                return
            try:
                connection.request("POST", path, json.dumps({"instances": [{"text": text}]}))
                response = connection.getresponse()
                response.read()
                status = str(response.status)
            except (OSError, http.client.HTTPException):
                connection.close()
                status = "none"
            with self._lock:
                self.statuses[status] += 1

    def __enter__(self) -> Askers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failed: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--swaps", type=int, default=100)
    args = parser.parse_args()
    texts = [record.values["text"] for record in itertools.islice(read_input(args.texts, "auto"), 1000)]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        shutil.copytree(find_version(args.model), model / "1")
        command = [sys.executable, "-m", "kerasft.serve", str(model), "--rest-port", "0", "--grpc-port", "0"]
        command += ["--queue-rows", str(max(1, args.clients // 8))]
        with process(command, lambda line: '"event": "ready"' in line) as line:
            port = json.loads(line)["rest_port"]
            overload(port, texts, args.clients, args.minutes)
            swap(port, texts, model, args.swaps)


def overload(port: int, texts: list[str], clients: int, minutes: float) -> None:
    end = time.monotonic() + 60 * minutes
    with Askers(port, "/v1/models/model:predict", texts, clients) as askers:
        while time.monotonic() < end:
            time.sleep(min(10.0, max(0.0, end - time.monotonic())))
            _tell("overload", port, askers)
    _tell("overload over", port, askers)


def swap(port: int, texts: list[str], model: Path, swaps: int) -> None:
    with Askers(port, "/v1/models/model:predict", texts, 8) as askers:
        for number in range(2, swaps + 2):
            shutil.copytree(model / str(number - 1), model / ".draft")
            (model / ".draft").rename(model / str(number))
            while _get(port, f"/v1/models/model/versions/{number}").find(b'"AVAILABLE"') < 0:
                time.sleep(0.1)
            if number > 2:
                shutil.rmtree(model / str(number - 2))
            if number % 10 == 1:
                _tell(f"{number - 1} swaps", port, askers)
    _tell("swaps over", port, askers)


def _tell(when: str, port: int, askers: Askers) -> None:
    memory = re.search(rb"^process_resident_memory_bytes (\S+)", _get(port, METRICS_PATH), re.MULTILINE)
    mib = round(float(memory[1]) / 2**20) if memory else None
    print(json.dumps({"when": when, "answers": dict(askers.statuses), "resident_mib": mib}), flush=True)


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    main()
