"""Whether TPE with ASHA finds in fewer steps what whole random trials find.

    python -m benchmarks.search_budget --data FOLDER [--trials 20] [--epochs 10] [--seed 0] [--runs runs/search]

Two searches of Banking77 with 10 rows a label, of which a fifth validates, from the same start: 20 random trials that
all end, and 20 trials by TPE of which ASHA ends most early. The table has the steps of all trials, those until the
winner was there, the winner's validation accuracy and its test accuracy. A search that was stopped goes on, and one
that is done is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.objectives import ten_of_each
from benchmarks.sides import ROOT

SIDES = {"random": ("random", "none"), "tpe-asha": ("tpe", "asha")}
SPACE = (
    "{training.optimizer.learning_rate: {log: [1.0e-5, 5.0e-4]}, training.optimizer.warmup: {linear: [0, 0.3]}, "
    "training.optimizer.weight_decay: {log: [1.0e-4, 0.1]}, task.pooling: {choice: [cls, mean]}}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/search"))
    args = parser.parse_args()
    home = (args.data / "banking77").resolve()
    train = ten_of_each(home / "train.jsonl", args.runs)
    print(f"{'search':10} {'steps':>7} {'found':>7} {'whole':>6} {'validation':>11} {'test':>7}")
    for name, (sampler, pruner) in SIDES.items():
        folder = args.runs / f"{name}-{args.seed}-search"
        if not (folder / "winner.json").is_file():
            keys = [f"name={name}-{args.seed}", f"output.dir={args.runs}", f"seed={args.seed}"]
            keys += [f"data.train={train}", f"data.test={home / 'test.jsonl'}", "data.validation=0.2"]
            keys += [f"training.epochs={args.epochs}", "training.batch_size=16", f"search.space={SPACE}"]
            keys += [f"search.sampler={sampler}", f"search.pruner={pruner}", "search.repeats=0"]
            command = [sys.executable, "-m", "kerasft", "search", str(ROOT / "configs" / "banking77.yaml"), *keys]
            again = ["--resume"] if folder.exists() else []
            process = subprocess.run(
                [*command, "--trials", str(args.trials), *again], stderr=subprocess.PIPE, stdout=sys.stderr, text=True
            )
            if process.returncode:
                sys.exit(process.stderr[-2000:])
        with open(folder / "trials.csv", encoding="utf-8", newline="") as file:
            trials = list(csv.DictReader(file))
        won = json.loads((folder / "winner.json").read_text(encoding="utf-8"))
        steps = [int(trial["last_step"] or 0) for trial in trials]
        found = sum(steps[: won["trial"] + 1])
        whole = sum(bool(trial["headline"]) for trial in trials)
        test = 100 * won["test"]["accuracy"]
        print(f"{name:10} {sum(steps):7} {found:7} {whole:6} {100 * won['validation']:11.2f} {test:7.2f}", flush=True)


if __name__ == "__main__":
    main()
