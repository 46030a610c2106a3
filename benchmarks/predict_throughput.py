"""Prediction speed beside the Hugging Face pipeline at its best: the same texts and architecture, in turns.

    python -m benchmarks.predict_throughput --data FOLDER [--run RUN] [--texts 10000] [--rounds 3]
        [--sides kerasft kerasft-bf16 hf hf-bf16] [--peer-batch-size 16 32 64] [--peer-python PATH] [--peer-threads N]
        [--results predict_throughput.jsonl]

Sides:
    kerasft, kerasft-bf16    what `kerasft.predict RUN [--precision mixed_bfloat16]` does once the run is loaded
    hf, hf-bf16              transformers' pipeline in float32 or bfloat16, texts sorted by length, each batch padded
                             to its longest, by the batch size that is fastest for it in a first turn

--data is a folder with train.jsonl and test.jsonl whose rows have `text`, such as banking77. No two of the texts are
alike and none is as it was: from each, and again in each pass over the data, another word is left out. A turn is all
texts in and a line of JSON each, in their order, out. Start-up and the first turn, in which graphs are made, are not
counted. Each side is a process of its own and waits between its turns. Without --run one is trained for a step:
weights have no part in what an answer costs. The table gives medians over the rounds; `times` is against the fastest
peer of that column.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.sides import PEERS, ROOT, make_peer
from benchmarks.train_throughput import Side, machine
from kerasft.config.load import load_config
from kerasft.data.sources.packages import fetch_package_path
from kerasft.json_lines import read_lines

CONFIG = ROOT / "configs" / "banking77.yaml"
OURS = {"kerasft": "float32", "kerasft-bf16": "mixed_bfloat16"}
THEIRS = {"hf": [], "hf-bf16": ["--bf16"]}
SIDES = (*OURS, *THEIRS)
LABELS = 77


def main() -> None:
    args = arguments()
    python = args.peer_python or (make_peer() if set(THEIRS) & set(args.sides) else "")
    about, turns = machine(python), []
    print(json.dumps(about))
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.txt"
        texts.write_text("".join(f"{text}\n" for text in varied(args.data, args.texts)), encoding="utf-8")
        run = args.run or trained_for_a_step(args.data, Path(folder))
        sides: dict[str, Side] = {}
        try:
            for name in args.sides:
                sides[name] = ready(name, run, texts, python, args)
            for number in range(args.rounds):
                for name in args.sides if number % 2 == 0 else reversed(args.sides):
                    turns.append({"round": number, "side": name, **sides[name].take(1)})
                    with open(args.results, "a", encoding="utf-8") as file:
                        file.write(json.dumps(turns[-1] | {"machine": about}) + "\n")
                    print(json.dumps(turns[-1]), flush=True)
        finally:
            for side in sides.values():
                side.end()
    print(f"load average {os.getloadavg()[0]:.1f} at the end\n")
    print(table(turns))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="a trained run of configs/banking77.yaml")
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--peer-batch-size", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--peer-python", help="of an environment with torch and transformers")
    parser.add_argument("--peer-threads", type=int, help="1 is many times faster where other work shares the cores")
    parser.add_argument("--results", type=Path, default=Path("predict_throughput.jsonl"))
    return parser.parse_args()


def varied(folder: Path, count: int) -> list[str]:
    """So many different texts, each with a word less than a text of the data."""
    rows = [line for split in ("train", "test") for line in read_lines(folder / f"{split}.jsonl")]
    words = [" ".join(json.loads(row)["text"].split()).split() for row in rows]
    found: dict[str, None] = {}
    for number in range(100 * count):
        turn, place = divmod(number, len(words))
        of_text = words[place]
        left_out = (place + turn) % len(of_text)
        found.setdefault(" ".join(of_text[:left_out] + of_text[left_out + 1 :]) or of_text[0])
        if len(found) == count:
            return list(found)
    raise SystemExit(f"{folder} has too few texts for {count} different ones; lower --texts")


def trained_for_a_step(data: Path, folder: Path) -> Path:
    """A run of the recipe whose model is as large as a trained one."""
    command = [sys.executable, "-m", "kerasft.train", str(CONFIG), "name=step", f"output.dir={folder}"]
    command += [f"data.train={data}/train.jsonl", f"data.test={data}/test.jsonl", "data.limit=2000"]
    subprocess.run(
        [*command, "data.validation=0.05", "training.steps=1", "training.epochs=null", "export.enabled=false"],
        check=True, stdout=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    return folder / "step"


def ready(name: str, run: Path, texts: Path, python: str, args: argparse.Namespace) -> Side:
    """A side that has done all texts once, the peer's by its best batch size."""
    if name in OURS:
        command = [sys.executable, "-m", "benchmarks.paced_prediction", str(run.absolute()), str(texts), OURS[name]]
        side = Side(name, command)
        side.take(1)
        return side
    config = load_config(CONFIG, [])
    options = {"model": fetch_package_path(config.model.preset), "texts": texts, "labels": LABELS}
    options |= {"max-length": config.model.max_length} | ({"threads": args.peer_threads} if args.peer_threads else {})
    best: tuple[float, Side] | None = None
    for size in args.peer_batch_size:
        command = [python, str(PEERS / "hf_predict.py"), *THEIRS[name], "--batch-size", str(size)]
        side = Side(name, [*command, *(str(part) for key in options for part in (f"--{key}", options[key]))])
        side.take(1)
        spent = side.take(1)["processor_seconds"] if len(args.peer_batch_size) > 1 else 0.0
        print(json.dumps({"side": name, "batch_size": size, "processor_seconds": spent}), flush=True)
        if best is None or spent < best[0]:
            best, side = (spent, side), best and best[1]
        if side is not None:
            side.end()
    return best[1]


def table(turns: list[dict[str, Any]]) -> str:
    """A row a side."""
    names = list(dict.fromkeys(turn["side"] for turn in turns))
    rates = {
        name: [
            statistics.median(turn["examples"] / turn[time] for turn in turns if turn["side"] == name)
            for time in ("seconds", "processor_seconds")
        ]
        for name in names
    }
    peers = [rates[name] for name in names if name in THEIRS]
    best = [max(column) for column in zip(*peers)] if peers else []
    lines = ["| side | texts/s | times | texts a processor second | times |", "| --- | --- | --- | --- | --- |"]
    for name, (wall, processor) in rates.items():
        times = [f"{rate / peer:.2f}" for rate, peer in zip((wall, processor), best)] or ["", ""]
        lines.append(f"| {name} | {wall:,.0f} | {times[0]} | {processor:,.0f} | {times[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
