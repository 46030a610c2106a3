"""configs/quickstart.yaml beside the Hugging Face Trainer: same weights, data, epochs, rate and batch, run in turn.

    python -m benchmarks.quickstart [--seeds 3] [--first-seed 0] [--peer-python PATH]

Without --peer-python an environment for the peer is made in .peer/ (torch and transformers: several GB).
kerasft holds a tenth of the training data out to choose its best weights; the peer trains on all of it and
takes its last weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from kerasft.config.load import load_config
from kerasft.data.packages import fetch_package_path
from kerasft.data.sources import read_records

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "quickstart.yaml"
PEER = Path(__file__).parent / "peers" / "hf_text_classification.py"
FIGURES = ("accuracy", "macro_f1", "seconds", "examples_per_second", "real_tokens_per_second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--peer-python", help="of an environment with torch, transformers, accelerate, scikit-learn")
    args = parser.parse_args()
    python = args.peer_python or make_peer()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            rows.append((ours(Path(folder), seed), peer(python, Path(folder), seed)))
            show(seed, *rows[-1])
    for figure in FIGURES:
        mine, theirs = ([row[side][figure] for row in rows] for side in (0, 1))
        ratio = statistics.median(a / b for a, b in zip(mine, theirs))
        print(f"{figure}: kerasft {mean(mine)}, peer {mean(theirs)}, median of the ratios {ratio:.3f}")


def make_peer() -> str:
    python = ROOT / ".peer" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / ".peer"], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "torch", "transformers", "accelerate", "scikit-learn"], check=True
        )
    return str(python)


def ours(folder: Path, seed: int) -> dict[str, float]:
    command = [sys.executable, "-m", "kerasft.train", str(CONFIG), f"seed={seed}", f"name=seed{seed}"]
    command += [f"output.dir={folder}", "export.enabled=false"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = json.loads((folder / f"seed{seed}" / "metrics.json").read_text(encoding="utf-8"))
    return metrics["test"] | metrics["training"]


def peer(python: str, folder: Path, seed: int) -> dict[str, float]:
    config = load_config(CONFIG, [])
    files = {}
    for split in ("train", "test"):
        files[split] = folder / f"{split}.jsonl"
        columns = config.data.columns
        with open(files[split], "w", encoding="utf-8") as file:
            for record in read_records(getattr(config.data, split)):
                row = {role: record.values[column] for role, column in columns.items()}
                file.write(json.dumps(row) + "\n")
    chosen = config.training
    command = [python, PEER, "--model", fetch_package_path(config.model.preset), "--seed", seed]
    command += ["--train", files["train"], "--test", files["test"], "--epochs", chosen.epochs]
    command += ["--learning-rate", chosen.optimizer.learning_rate, "--batch-size", chosen.batch_size]
    command += ["--max-length", config.model.max_length]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(seed: int, mine: dict[str, float], theirs: dict[str, float]) -> None:
    for name, found in (("kerasft", mine), ("peer", theirs)):
        print(f"seed {seed}, {name}: " + ", ".join(f"{figure} {found[figure]:.4g}" for figure in FIGURES), flush=True)


def mean(values: list[float]) -> str:
    spread = f" (sd {statistics.stdev(values):.2g})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{spread}"


if __name__ == "__main__":
    main()
