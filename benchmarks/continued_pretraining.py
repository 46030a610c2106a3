"""Continued pretraining on a domain's texts: what it does to masked perplexity there, and to the task after it.

    python -m benchmarks.continued_pretraining [--steps 80] [--seeds 2] [--limit 2000] [--folder runs/continued]

MiniLM as sentence-transformers published it has no head that names tokens, and a random one would make any training
look good. So a common start comes first: model and head are trained on general text, WikiText-2. From it one run goes
on with as many steps of general text, the other with the texts of Banking77's training split; a third trains the head
alone on these, which tells how much of the gain is mere word counts. All are measured on the texts of the test split.
Then the task, naming the intent, is learnt from few labelled examples, from the published weights and from either run
that changed the backbone, with the same recipe and seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MASKED, TASK = (ROOT / "configs" / f"{name}.yaml" for name in ("masked-lm-banking77", "banking77"))
GENERAL = "../shared/data/wikitext2/validation.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=80, help="of each stage of pretraining")
    parser.add_argument("--seeds", type=int, default=2, help="of the task; how many")
    parser.add_argument("--limit", type=int, default=2000, help="labelled examples of the task")
    parser.add_argument("--epochs", type=int, default=3, help="of the task")
    parser.add_argument("--folder", default="runs/continued", help="where the runs land")
    args = parser.parse_args()
    stages = {
        "start": [f"data.train={GENERAL}", "training.optimizer.learning_rate=5.0e-4"],  # the head is new
        "general": [f"data.train={GENERAL}", f"model.preset=run:{args.folder}/start"],
        "domain-head": [f"model.preset=run:{args.folder}/start", "model.trainable=head"],
        "domain": [f"model.preset=run:{args.folder}/start"],
    }
    length = ["training.epochs=null", f"training.steps={args.steps}"]
    for name, changes in stages.items():
        found = run(MASKED, args.folder, name, [*changes, *length])["test"]
        interval = found["interval"]
        print(
            f"{name}: perplexity on the domain's test texts {found['perplexity']:.2f} "
            f"({interval['low']:.2f} to {interval['high']:.2f}), accuracy {found['accuracy']:.3f}",
            flush=True,
        )
    presets = {"published": [], **{name: [f"model.preset=run:{args.folder}/{name}"] for name in ("general", "domain")}}
    few = [f"data.limit={args.limit}", f"training.epochs={args.epochs}"]
    for name, changes in presets.items():
        figures = []
        for seed in range(args.seeds):
            found = run(TASK, args.folder, f"{name}-task-{seed}", [*changes, *few, f"seed={seed}"])
            figures.append(found["test"]["accuracy"])
        each = ", ".join(f"{figure:.4f}" for figure in figures)
        print(f"{name}: accuracy of the task {statistics.mean(figures):.4f} ({each})", flush=True)


def run(config: Path, folder: str, name: str, changes: list[str]) -> dict[str, Any]:
    """Trains, unless that was done before, and answers what metrics.json holds."""
    told = ROOT / folder / name / "metrics.json"
    if not told.is_file():
        command = [sys.executable, "-m", "kerasft.train", str(config), f"name={name}", f"output.dir={folder}"]
        command += ["export.enabled=false", "--overwrite", *changes]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return json.loads(told.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
