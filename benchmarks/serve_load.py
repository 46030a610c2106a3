"""Requests a second of the local server, beside a FastAPI pipeline and beside the model without a server.

    python -m benchmarks.serve_load saved_models/NAME TEXTS --peer-model FOLDER [--clients 1 8 64] [--seconds 10]

Sides: `rest` and `grpc` are `kerasft serve`; `in process` calls the same SavedModel from as many threads; `peer` is
peers/fastapi_pipeline.py with the same architecture and length (`--peer-python` has torch, transformers, fastapi and
uvicorn). Every client sends one text a request and waits for the answer; clients are threads of this process, so what
they cost is in all figures. A line of JSON for each side and number of clients, with the machine's load average, and
one with the ratios: requests/s over the peer's, and what the server costs over the model in process. Exit code 1: a
request failed, or at 8 clients neither REST nor gRPC has twice the peer's requests/s.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides import PEERS
from kerasft.console.terminal import quiet_tensorflow
from kerasft.data.sources.sources import read_input
from kerasft.inference.export import find_version
from kerasft.serving.client import Client
from kerasft.serving.status import ServingError

Ask = Callable[[str], None]  # raises where there is no good answer
Figures = dict[tuple[str, int], dict[str, float]]  # of a side and a number of clients
RATE = "requests_per_second"
LEAST_OVER_PEER = 2.0
PEER_PORT = 18777


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts")
    parser.add_argument("--peer-model", type=Path, help="a BERT of Hugging Face's form; without one there is no peer")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--most-texts", type=int, default=1000)
    args = parser.parse_args()
    records = itertools.islice(read_input(args.texts, "auto"), args.most_texts)
    texts = [record.values["text"] for record in records]
    facts = json.loads((find_version(args.model) / "assets.extra" / "kerasft.json").read_text(encoding="utf-8"))
    sides: dict[str, Callable[[], contextlib.AbstractContextManager[Callable[[], Ask]]]] = {}
    if args.peer_model:
        sides["peer"] = lambda: peer(args.peer_python, args.peer_model, facts["max_length"], len(facts["labels"]))
    sides |= {"in process": lambda: in_process(args.model)}
    sides |= {"rest": lambda: server(args.model, "http"), "grpc": lambda: server(args.model, "grpc")}
    figures: Figures = {}
    for name, open_side in sides.items():
        with open_side() as connect:
            measure(connect, texts, 1, min(3.0, args.seconds))  # warm
            for clients in args.clients:
                found = figures[name, clients] = measure(connect, texts, clients, args.seconds)
                print(json.dumps({"side": name, "clients": clients, **found}), flush=True)
    verdict = compare(figures, args.clients)
    print(json.dumps(verdict), flush=True)
    sys.exit(verdict["verdict"] == "fail")


def compare(figures: Figures, clients: Sequence[int]) -> dict[str, Any]:
    """Ratios of requests/s, and milliseconds of the median over the model in process, by side and number of clients."""
    found: dict[str, Any] = {}
    for side in ("rest", "grpc"):
        for other in ("peer", "in process"):
            if (other, clients[0]) in figures:
                found[f"{side} / {other}, requests/s"] = {
                    str(n): round(figures[side, n][RATE] / figures[other, n][RATE], 2) for n in clients
                }
        found[f"{side} over in process, p50 ms"] = {
            str(n): round(figures[side, n]["p50_ms"] - figures["in process", n]["p50_ms"], 1) for n in clients
        }
        found[f"{side} p99 ms"] = {str(n): figures[side, n]["p99_ms"] for n in clients}
    failed = sum(each["failed"] for each in figures.values())
    ratios = [figures[side, 8][RATE] / figures["peer", 8][RATE] for side in ("rest", "grpc") if ("peer", 8) in figures]
    if failed or (ratios and max(ratios) < LEAST_OVER_PEER):
        verdict = "fail"
    else:
        verdict = "pass" if ratios else "no peer at 8 clients to compare with"
    return {"verdict": verdict, "failed": failed} | found


def measure(connect: Callable[[], Ask], texts: list[str], clients: int, seconds: float) -> dict[str, float]:
    """So many clients ask for so long: requests a second, milliseconds of the median and 99th percentile, failures."""
    taken: list[list[float]] = [[] for _ in range(clients)]
    failed = [0] * clients
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        ask = connect()
        for text in itertools.cycle(texts[number::clients] or texts):
            begun = time.perf_counter()
            if begun >= end:
                return
            try:
                ask(text)
            except (OSError, RuntimeError, ServingError, http.client.HTTPException):
                failed[number] += 1
            else:
                taken[number].append(time.perf_counter() - begun)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted = time.perf_counter() - begun
    every = np.concatenate([np.asarray(each) for each in taken])
    if not len(every):
        sys.exit(f"{clients} clients: none of {sum(failed)} requests was answered")
    return {
        RATE: round(len(every) / lasted, 1),
        "p50_ms": round(float(np.percentile(every, 50)) * 1e3, 1),
        "p99_ms": round(float(np.percentile(every, 99)) * 1e3, 1),
        "failed": sum(failed),
        "load_average": round(os.getloadavg()[0], 1),
    }


@contextlib.contextmanager
def process(command: list[str], is_ready: Callable[[str], bool]) -> Iterator[str]:
    """A server of its own process; yields the line by which it says that it is ready."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        for line in running.stdout:
            said.append(line)
            if is_ready(line):
                threading.Thread(target=running.stdout.read, daemon=True).start()
                yield line
                break
        else:
            sys.exit(f"{command}: ended: {''.join(said[-5:])}")
    finally:
        running.terminate()
        running.wait(60)


def post(port: int, path: str, body: Callable[[str], dict]) -> Ask:
    """A client with one HTTP connection that stays."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(text: str) -> None:
        connection.request("POST", path, json.dumps(body(text)), {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(content)

    return ask


@contextlib.contextmanager
def peer(python: str, model: Path, max_length: int, labels: int) -> Iterator[Callable[[], Ask]]:
    script = str(PEERS / "fastapi_pipeline.py")
    command = [python, script, str(model), str(PEER_PORT), str(max_length), str(labels)]
    with process(command, lambda line: line == "ready\n"):
        time.sleep(2.0)  # it says so just before it listens
        yield lambda: post(PEER_PORT, "/predict", lambda text: {"text": text})


@contextlib.contextmanager
def server(model: Path, scheme: str) -> Iterator[Callable[[], Ask]]:
    name = model.absolute().name
    command = [sys.executable, "-m", "kerasft.serve", str(model), "--rest-port", "0", "--grpc-port", "0"]
    with process(command, lambda line: '"event": "ready"' in line) as line:
        ports = json.loads(line)
        if scheme == "http":
            path = f"/v1/models/{name}:predict"
            yield lambda: post(ports["rest_port"], path, lambda text: {"instances": [{"text": text}]})
        else:
            yield lambda: _grpc(Client(f"grpc://127.0.0.1:{ports['grpc_port']}", timeout=120.0, retries=0), name)


def _grpc(client: Client, name: str) -> Ask:
    return lambda text: client.predict(name, {"text": [text]})


@contextlib.contextmanager
def in_process(model: Path) -> Iterator[Callable[[], Ask]]:
    quiet_tensorflow(False)
    from kerasft.serving.server.loaded_model import LoadedModel

    loaded = LoadedModel(find_version(model))

    def ask(text: str) -> None:
        loaded.run("serving_default", {"text": np.array([text.encode("utf-8", "replace")], object)})

    yield lambda: ask
    loaded.close()


if __name__ == "__main__":
    main()
