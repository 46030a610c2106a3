"""The two sides of a comparison, kerasft and the Hugging Face Trainer, each run in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasft.config.schema import Config
from kerasft.data.sources.packages import fetch_package_path
from kerasft.data.sources.sources import read_records

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).parent / "peers"
PEER_PACKAGES = ("torch", "transformers", "accelerate", "scikit-learn", "scipy", "seqeval", "gguf")


def make_peer() -> str:
    python = ROOT / ".peer" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / ".peer"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEER_PACKAGES], check=True)
    return str(python)


def run_kerasft(config: Path, seed: int, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Figures of the test split and of training; the run itself is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kerasft.train", str(config), f"seed={seed}", "name=benchmark"]
        _run([*command, f"output.dir={folder}", "export.enabled=false", *overrides])
        metrics = json.loads((Path(folder) / "benchmark" / "metrics.json").read_text(encoding="utf-8"))
    return metrics["test"] | metrics["training"]


def run_peer(python: str, script: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Figures that a script of peers/ prints last.

    Args:
        options: `max_length` becomes --max-length; True stands for a flag.
    """
    command = [python, str(PEERS / script)]
    for name, value in options.items():
        command.append("--" + name.replace("_", "-"))
        command += [] if value is True else [str(value)]
    return json.loads(_run(command).splitlines()[-1])


def peer_settings(config: Config) -> dict[str, Any]:
    """What both sides have alike: the peer's options from a config of kerasft."""
    training = config.training
    return {
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "learning_rate": training.optimizer.learning_rate,
        "warmup": training.optimizer.warmup,
        "max_length": config.model.max_length,
    }


def peer_files(config: Config, folder: Path) -> dict[str, str]:
    """What a peer reads, JSON Lines and a folder of weights: its options `train`, `test` and `model`."""
    paths = {split: folder / f"{split}.jsonl" for split in ("train", "test")}
    for split, path in paths.items():
        with open(path, "w", encoding="utf-8") as file:
            for record in read_records(getattr(config.data, split)):
                row = {role: record.values[column] for role, column in config.data.columns.items()}
                file.write(json.dumps(row) + "\n")
    return {"model": fetch_package_path(config.model.preset), **{split: str(path) for split, path in paths.items()}}


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}\nended with exit code {done.returncode}")
    return done.stdout
