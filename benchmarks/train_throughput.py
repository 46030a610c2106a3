"""Training speed beside the peers: the same weights, data and examples a step, the same number of steps, in turns.

    python -m benchmarks.train_throughput [--data r8 banking77] [--sides kerasft hf] [--steps 40] [--rounds 3]
        [--peer-python PATH] [--peer-threads N] [--results train_throughput.jsonl] [--quick]

Sides:
    kerasft         the recipe of configs/, by its own trainer and pipeline
    kerasft-whole   the same without `training.parallel_microbatches`
    hf              the Hugging Face Trainer at its best: bf16, rows of like length together, padded to the longest
    hf-float32      the same in float32, which is faster on processors whose products in bfloat16 are slow
    hf-padded       as hf, each row padded to 128 tokens
    kerashub        KerasHub's `fit` as it comes: float32, rows of 512 tokens
    kerashub-tuned  KerasHub's `fit` at the recipe's length in mixed_bfloat16, without XLA

Every side is a process of its own that waits between its turns. A round is --steps steps of each side, and the order
changes from round to round, so that what else the machine does meets all alike. --warm-up steps before the first are
not counted. Each turn adds a line to the results file; the table at the end gives medians over the rounds.
Tokens are real ones, without padding. KerasHub has no models for wnut17 and squad_small. Without --peer-python
an environment for Hugging Face is made in .peer/. --quick is R8 and banking77 by kerasft and hf, 25 steps a round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.pacing import MARK
from benchmarks.sides import PEERS, ROOT, make_peer
from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.data.sources.packages import fetch_package_path
from kerasft.data.sources.sources import read_records

HELD_OUT = 64  # rows that stand for splits which nothing is measured on
PADDED = 128  # tokens, as Hugging Face's examples pad


@dataclass(frozen=True)
class Dataset:
    config: str
    script: str
    classifies_texts: bool = True


@dataclass(frozen=True)
class Job:
    """One side on one data set: what its process is started with."""

    data: Dataset
    path: Path
    config: Config
    files: Path
    python: str
    threads: int | None

    def kerasft(self, *overrides: str) -> list[str]:
        rows = [f"data.train={self.files}/train.jsonl", "data.format=auto"]
        rows += [f"data.{split}={self.files}/held-out.jsonl" for split in ("validation", "test")]
        kept = [f"output.dir={self.files}", "export.enabled=false"]
        return [sys.executable, "-m", "benchmarks.paced_training", str(self.path), *rows, *kept, *overrides]

    def hf(self, length: int | None = None, *flags: str) -> list[str]:
        training = self.config.training
        options = {
            "learning-rate": training.optimizer.learning_rate,
            "max-length": length or self.config.model.max_length,
            "epochs": 1000,
            "test": self.files / "held-out.jsonl",
        } | ({"threads": self.threads} if self.threads else {})
        return [*self._peer(self.python, self.data.script, options), "--paced", *flags]

    def kerashub(self, tuned: bool = False) -> list[str]:
        options = {"max-length": self.config.model.max_length} if tuned else {}
        return [*self._peer(sys.executable, "kerashub_fit.py", options), *(["--bf16"] if tuned else [])]

    def _peer(self, python: str, script: str, options: dict[str, Any]) -> list[str]:
        columns = self.config.data.columns
        options = options | {
            "model": fetch_package_path(self.config.model.preset),
            "train": self.files / "train.jsonl",
            "batch-size": self.config.training.batch_size,
        }
        if self.data.classifies_texts:
            options |= {"text": columns["text"], "label": columns["label"]}
        return [python, str(PEERS / script), *(str(part) for name in options for part in (f"--{name}", options[name]))]


DATA = {
    "r8": Dataset("reuters-r8.yaml", "hf_text_classification.py"),
    "banking77": Dataset("banking77.yaml", "hf_text_classification.py"),
    "wnut17": Dataset("wnut17.yaml", "hf_token_classification.py", classifies_texts=False),
    "squad_small": Dataset("squad.yaml", "hf_question_answering.py", classifies_texts=False),
}
SIDES: dict[str, Callable[[Job], list[str]]] = {
    "kerasft": Job.kerasft,
    "kerasft-whole": lambda job: job.kerasft("training.parallel_microbatches=1"),
    "hf": Job.hf,
    "hf-float32": lambda job: job.hf(None, "--float32"),
    "hf-padded": lambda job: job.hf(PADDED, "--pad-to-max"),
    "kerashub": Job.kerashub,
    "kerashub-tuned": lambda job: job.kerashub(tuned=True),
}


class Side:
    """A process that trains on order."""

    def __init__(self, name: str, command: Sequence[str]):
        self.name, self.errors = name, tempfile.TemporaryFile("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        self.process = subprocess.Popen(command, **pipes, text=True, cwd=ROOT)

    def take(self, steps: int) -> dict[str, float]:
        """The figures of so many steps."""
        try:
            print(steps, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has ended; what it said is told below
        for line in self.process.stdout:
            if line.startswith(MARK):
                return json.loads(line[len(MARK) :])
        self.errors.seek(0)
        raise SystemExit(f"{self.name} ended:\n{self.errors.read()[-3000:]}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def main() -> None:
    args = arguments()
    python = args.peer_python or (make_peer() if any(side.startswith("hf") for side in args.sides) else "")
    about = machine(python)
    print(json.dumps(about))
    turns = []
    for name in args.data:
        for turn in rounds(args, name, python):
            turns.append(turn | {"data": name})
            with open(args.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(turns[-1] | {"machine": about}) + "\n")
            print(json.dumps(turns[-1]), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} at the end\n")
    print(table(turns))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=["r8", "banking77"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["kerasft", "hf"])
    parser.add_argument("--steps", type=int, default=40, help="of each side in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=20, help="steps before: lengths of a batch are new only once")
    parser.add_argument("--peer-python", help="of an environment with torch, transformers, accelerate, seqeval ...")
    parser.add_argument("--peer-threads", type=int, help="1 is many times faster where other work shares the cores")
    parser.add_argument("--results", type=Path, default=Path("train_throughput.jsonl"))
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.data, args.sides, args.steps = ["r8", "banking77"], ["kerasft", "hf"], 25
    return args


def machine(python: str) -> dict[str, Any]:
    """What the figures were measured on and with."""
    found = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    info = {key.strip(): value.strip() for key, value in found.items()}
    named = {"tensorflow", "keras", "keras-hub", "torch", "transformers", "accelerate"}
    ask = "import importlib.metadata as m; print(*(f'{d.name} {d.version}' for d in m.distributions()), sep='\\n')"
    lines = []
    for each in filter(None, (sys.executable, python)):
        lines += subprocess.run([each, "-c", ask], check=True, capture_output=True, text=True).stdout.splitlines()
    return {
        "processor": info.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "features": [flag for flag in ("avx512_bf16", "amx_bf16") if flag in info.get("flags", "").split()],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_average": round(os.getloadavg()[0], 1),
        "versions": sorted({line for line in lines if line.split()[0].lower() in named}),
    }


def rounds(args: argparse.Namespace, name: str, python: str):
    """The turns of each side on a data set, as they are measured."""
    data = DATA[name]
    path = ROOT / "configs" / data.config
    names = [side for side in args.sides if data.classifies_texts or not side.startswith("kerashub")]
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(path, [])
        write_rows(config, Path(folder))
        job, sides = Job(data, path, config, Path(folder), python, args.peer_threads), []
        try:
            for side in names:
                sides.append(Side(side, SIDES[side](job)))
                sides[-1].take(args.warm_up)  # ready before the next one starts
            for turn in range(args.rounds):
                for side in sides if turn % 2 == 0 else reversed(sides):
                    yield {"round": turn, "side": side.name, **side.take(args.steps)}
        finally:
            for side in sides:
                side.end()


def write_rows(config: Config, folder: Path) -> None:
    """The training split as JSON Lines, which all sides read, and the few rows that stand for the other splits."""
    records = read_records(config.data.train, config.data.format)
    lines = [json.dumps(record.values, ensure_ascii=False) + "\n" for record in records]
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "held-out.jsonl").write_text("".join(lines[:HELD_OUT]), encoding="utf-8")


def table(turns: list[dict[str, Any]]) -> str:
    """A row a side; `times` is how many times as fast kerasft is, by the wall clock and by processor seconds."""
    lines = [
        "| data | side | examples/s | real tokens/s | times | processor seconds a step | times |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for data, side in dict.fromkeys((turn["data"], turn["side"]) for turn in turns):
        here = [turn for turn in turns if turn["data"] == data]
        own, mine = ([turn for turn in here if turn["side"] == name] for name in (side, "kerasft"))
        lines.append(
            f"| {data} | {side} | {median(own, 'examples', 'seconds'):,.1f} | {median(own, 'tokens', 'seconds'):,.0f} "
            f"| {times(mine, own, 'seconds')} | {median(own, 'processor_seconds', 'steps'):.3f} "
            f"| {times(mine, own, 'processor_seconds')} |"
        )
    return "\n".join(lines)


def median(turns: list[dict[str, Any]], count: str, time: str) -> float:
    return statistics.median(turn[count] / turn[time] for turn in turns)


def times(mine: list[dict[str, Any]], own: list[dict[str, Any]], time: str) -> str:
    """Of the real tokens by a unit of time, in the median over the rounds."""
    ratios = [(a["tokens"] / a[time]) / (b["tokens"] / b[time]) for a, b in zip(mine, own)]
    return f"{statistics.median(ratios):.2f}" if ratios else ""


if __name__ == "__main__":
    main()
