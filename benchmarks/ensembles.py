"""What an ensemble of five seeds brings, and what one model distilled from it keeps.

    python -m benchmarks.ensembles --data FOLDER [--sets banking77-10 wnut17 ...] [--members 5]
        [--results ensembles.jsonl] [--runs runs/objectives]

The members are the runs `plain` of `python -m benchmarks.objectives` with seeds 0, 1, ..., in the same folder; those
that are not there are trained. `kerasft ensemble RUN RUN ... --distil` makes the rest. The table has test scores in
points: the mean of the members, the best of them, the ensemble and the distilled model. Test is read once by each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import objectives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=objectives.SETS, default=["banking77-10", "semeval2010", "wnut17"])
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path("ensembles.jsonl"))
    parser.add_argument("--runs", type=Path, default=Path("runs/objectives"))
    args = parser.parse_args()
    done = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.is_file() else []
    for name in args.sets:
        if not any(row["set"] == name for row in done):
            done.append(measured(name, args))
            with args.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[-1]) + "\n")
    print(f"{'set':14} {'members':>8} {'best':>7} {'ensemble':>9} {'distilled':>10}")
    for row in done:
        figures = [100 * row[key] for key in ("ensemble", "distilled")]
        members = [100 * score for score in row["members"]]
        ensemble, distilled = figures
        print(f"{row['set']:14} {statistics.mean(members):8.2f} {max(members):7.2f} {ensemble:9.2f} {distilled:10.2f}")


def measured(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one set."""
    metric = objectives.SETS[name][2]
    members = [args.runs / f"{name}-plain-{seed}" for seed in range(args.members)]
    for seed, member in enumerate(members):
        if not (member / "metrics.json").is_file():
            objectives.train(name, "plain", seed, args)
    print(f"== {name} ensemble", flush=True)
    command = [sys.executable, "-m", "kerasft", "ensemble", *map(str, members), "--distil", "--resume"]
    keys = [f"name={name}", f"output.dir={args.runs}", "export.enabled=false"]
    process = subprocess.run([*command, "--", *keys], capture_output=True, text=True)
    if process.returncode:
        sys.exit(process.stderr[-2000:])
    scores = [score(member, metric) for member in members]
    names = {"ensemble": f"{name}-ensemble", "distilled": f"{name}-distilled"}
    return {"set": name, "metric": metric, "members": scores} | {
        key: score(args.runs / folder, metric) for key, folder in names.items()
    }


def score(run: Path, metric: str) -> float:
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"][metric]


if __name__ == "__main__":
    main()
