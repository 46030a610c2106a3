"""Five encoder tasks beside the Hugging Face Trainer: same weights, data, epochs, rate and batch; what each gets right.

    python -m benchmarks.encoder_tasks [--tasks wnut17 stsb] [--seeds 3] [--first-seed 0] [--sides kerasft peer]
        [--data ../shared/data] [--peer-python PATH] [--peer-threads 1] [--results encoder_tasks.jsonl]

Each run adds a line to the results file. Runs that are there already with the same settings are not repeated, so an
interrupted benchmark goes on where it stopped. Without --peer-python an environment for the peer is made in .peer/.
Where the data have a validation file, both sides choose their best epoch by it. Where they have none, kerasft holds a
tenth of the training data out for that; the peer trains on all of it and takes its last weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.sides import ROOT, make_peer, peer_settings, run_kerasft, run_peer
from kerasft.config.load import load_config
from kerasft.data.sources.packages import fetch_package_path

SIDES = ("kerasft", "peer")


@dataclass(frozen=True)
class Benchmark:
    """Args: data, the folder below --data; metrics, shares between 0 and 1 that both sides call alike."""

    config: str
    data: str
    script: str
    metrics: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


PAIRS = {"regression": True, "text": "text_a", "text_pair": "text_b"}
BENCHMARKS = {
    "wnut17": Benchmark("wnut17.yaml", "wnut17", "hf_token_classification.py", ("f1", "precision", "recall")),
    "semeval2010": Benchmark(
        "semeval2010-task8.yaml",
        "semeval2010_task8",
        "hf_relation_extraction.py",
        ("f1", "accuracy"),
        {"head": "first"},
    ),
    "squad_small": Benchmark("squad.yaml", "squad_small", "hf_question_answering.py", ("f1", "exact_match")),
    "banking77": Benchmark("banking77.yaml", "banking77", "hf_text_classification.py", ("accuracy", "macro_f1")),
    "stsb": Benchmark("stsb.yaml", "stsb", "hf_text_classification.py", ("spearman", "pearson"), PAIRS),
}


def main() -> None:
    args = arguments()
    python = args.peer_python or (make_peer() if "peer" in args.sides else "")
    rows = []
    for name in args.tasks:
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            rows += [found(args, python, name, seed, side) for side in args.sides]
    print(table(rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), metavar="TASK")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data folders")
    parser.add_argument("--peer-python", help="of an environment with torch, transformers, accelerate, seqeval ...")
    parser.add_argument("--peer-threads", type=int, help="1 is many times faster where other work shares the cores")
    parser.add_argument("--results", type=Path, default=Path("encoder_tasks.jsonl"))
    return parser.parse_args()


def found(args: argparse.Namespace, python: str, name: str, seed: int, side: str) -> dict[str, Any]:
    """One run's line of the results file, added to it if it isn't there."""
    benchmark = BENCHMARKS[name]
    config = ROOT / "configs" / benchmark.config
    files = splits(args.data.resolve() / benchmark.data)
    overrides = [f"data.{split}={path}" for split, path in files.items()]
    loaded = load_config(config, overrides)
    settings = peer_settings(loaded) | (benchmark.options if side == "peer" else {})
    run = {"task": name, "side": side, "seed": seed, "settings": settings}
    for row in written(args.results):
        if {key: row[key] for key in run} == run:
            return row
    print(f"{name}, {side}, seed {seed}", flush=True)
    if side == "kerasft":
        figures = run_kerasft(config, seed, overrides)
    else:
        options = settings | files | {"model": fetch_package_path(loaded.model.preset), "seed": seed}
        threads = {"threads": args.peer_threads} if args.peer_threads else {}
        figures = run_peer(python, benchmark.script, options | threads)
    run["figures"] = {key: value for key, value in figures.items() if isinstance(value, (int, float))}
    with open(args.results, "a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    return run


def splits(folder: Path) -> dict[str, str]:
    paths = {split: folder / f"{split}.jsonl" for split in ("train", "validation", "test")}
    return {split: str(path) for split, path in paths.items() if split != "validation" or path.exists()}


def written(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| task | metric | kerasft | peer | difference in points | seeds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(row["task"] for row in rows):
        for metric in BENCHMARKS[name].metrics:
            mine, theirs = (
                [100 * row["figures"][metric] for row in rows if (row["task"], row["side"]) == (name, side)]
                for side in SIDES
            )
            difference = f"{statistics.mean(mine) - statistics.mean(theirs):+.2f}" if mine and theirs else ""
            seeds = max(len(mine), len(theirs))
            lines.append(f"| {name} | {metric} | {mean(mine)} | {mean(theirs)} | {difference} | {seeds} |")
    return "\n".join(lines)


def mean(values: list[float]) -> str:
    if not values:
        return ""
    return f"{statistics.mean(values):.2f}" + (f" ({statistics.stdev(values):.2f})" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
