"""What objectives and averages of weights bring: the same recipe with and without them, over seeds.

    python -m benchmarks.objectives --data FOLDER [--sets banking77-10 wnut17 ...] [--ways plain rdrop fgm ...]
        [--seeds 0 1 2] [--results objectives.jsonl] [--runs runs/objectives]

--data is a folder with banking77, semeval2010_task8, stsb, wnut17 and squad_small. A set is trained by its config in
`configs/`; `banking77-10` has the first 10 rows of each label in an order drawn by a fixed seed, of which a fifth
chooses the best of 20 epochs. A way changes one key of the config; `smart` is trained in float32, and `swa` with a
learning rate that does not fall to zero. `soup` has a learning rate of 1.5e-4 and is mixed with the runs `plain`,
`rdrop` and `fgm` of its seed, which must be in --runs. Each run is a process of its own. A run that is in the results
file is not made again, so the benchmark can be stopped and continued. The table has the mean test score over its seeds,
and over the seeds that `plain` has, too, the difference in points and the time of a step over that of `plain`. Test is
read once for each run, and nothing is chosen by it.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.sides import ROOT

WAYS = {
    "plain": [],
    "rdrop": ["training.objective={name: rdrop}"],
    "fgm": ["training.objective={name: fgm}"],
    "pgd": ["training.objective={name: pgd}"],
    "freelb": ["training.objective={name: freelb}"],
    "smart": ["training.objective={name: smart}", "training.precision=float32"],
    "mixout": ["training.objective={name: mixout}"],
    "supervised_contrastive": ["training.objective={name: supervised_contrastive}"],
    "ema": ["training.ema=0.99"],
    "swa": ["training.averaging={name: swa, share: 0.25}", "training.optimizer.end_factor=0.2"],
    "soup": ["training.optimizer.learning_rate=1.5e-4"],  # and the runs it is mixed with, see `train`
}
MIXED = ("plain", "rdrop", "fgm")  # the other runs of a soup
# Set -> its config, its folder, the metric, and what is changed for all ways.
SETS: dict[str, tuple[str, str, str, list[str]]] = {
    "banking77-10": (
        "banking77", "banking77", "accuracy", ["data.validation=0.2", "training.epochs=20", "training.batch_size=16"]
    ),
    "banking77": ("banking77", "banking77", "accuracy", []),
    "semeval2010": ("semeval2010-task8", "semeval2010_task8", "f1", []),
    "wnut17": ("wnut17", "wnut17", "f1", []),
    "stsb": ("stsb", "stsb", "spearman", []),
    "squad_small": ("squad", "squad_small", "f1", []),
}  # fmt: skip


def main() -> None:
    run_missing(arguments(), train, table)


def run_missing(
    args: argparse.Namespace,
    train: Callable[[str, str, int, argparse.Namespace], dict[str, Any]],
    table: Callable[[list[dict[str, Any]]], None],
) -> None:
    """Trains what the results file does not have yet, and prints the table after each run."""
    done = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.is_file() else []
    for seed in args.seeds:
        for name in args.sets:
            for way in args.ways:
                if not any((row["set"], row["way"], row["seed"]) == (name, way, seed) for row in done):
                    done.append(train(name, way, seed, args))
                    with args.results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(done[-1]) + "\n")
                    table(done)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["plain", "rdrop", "fgm"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--results", type=Path, default=Path("objectives.jsonl"))
    parser.add_argument("--runs", type=Path, default=Path("runs/objectives"))
    return parser.parse_args()


def train(name: str, way: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Trains one run, and returns its figures."""
    words = list(WAYS[way])
    if way == "soup":
        runs = ", ".join(str((args.runs / f"{name}-{other}-{seed}").resolve()) for other in MIXED)
        words.append(f"training.averaging={{name: soup, runs: [{runs}]}}")
    return trained(SETS[name], {"set": name, "way": way, "seed": seed}, words, args)[0]


def trained(
    of_set: tuple[str, str, str, list[str]], key: dict[str, Any], words: list[str], args: argparse.Namespace
) -> tuple[dict[str, Any], Path]:
    """Trains one run: `key` with its score and the time of its steps, and its folder."""
    config, folder, metric, changes = of_set
    home, run = (args.data / folder).resolve(), args.runs / "{set}-{way}-{seed}".format(**key)
    files = {file.stem: file for file in home.iterdir() if file.stem in ("train", "validation", "test")}
    if key["set"] == "banking77-10":
        files["train"] = ten_of_each(files["train"], args.runs)
    words = [*(f"data.{split}={file}" for split, file in files.items()), *changes, *words]
    words += [f"seed={key['seed']}", f"name={run.name}", f"output.dir={args.runs}", "export.enabled=false"]
    command = [sys.executable, "-m", "kerasft.train", str(ROOT / "configs" / f"{config}.yaml"), *words, "--overwrite"]
    print("== {set} {way} seed {seed}".format(**key), flush=True)
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        sys.exit(process.stderr[-2000:])
    metrics = json.loads((run / "metrics.json").read_text())
    figures = {"score": metrics["test"][metric], "step_seconds": metrics["training"]["step_seconds"]}
    return {**key, "metric": metric, **figures}, run


def ten_of_each(file: Path, folder: Path) -> Path:
    """Ten rows of each label, the same every time."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(rows)
    seen: dict[str, int] = defaultdict(int)
    kept = []
    for row in rows:
        seen[row["label"]] += 1
        if seen[row["label"]] <= 10:
            kept.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "banking77-10.jsonl"
    made.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")
    return made.resolve()


def table(rows: list[dict[str, Any]]) -> None:
    """Prints what is known by now."""
    print(f"{'set':14} {'way':24} {'seeds':>5} {'score':>7} {'change':>7} {'step':>6}")
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        base = {row["seed"]: row for row in mine if row["way"] == "plain"}
        for way in dict.fromkeys(row["way"] for row in mine):
            each = [row for row in mine if row["way"] == way]
            score = 100 * statistics.mean(row["score"] for row in each)
            both = [(row, base[row["seed"]]) for row in each if row["seed"] in base]
            change = 100 * statistics.mean(row["score"] - other["score"] for row, other in both) if both else 0.0
            step = statistics.mean(row["step_seconds"] / other["step_seconds"] for row, other in both) if both else 0.0
            print(f"{name:14} {way:24} {len(each):5} {score:7.2f} {change:+7.2f} {step:6.2f}", flush=True)


if __name__ == "__main__":
    main()
