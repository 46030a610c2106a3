"""configs/reuters-r8.yaml beside the Hugging Face Trainer: same weights, data, epochs, rate and batch, run in turn.

    python -m benchmarks.quickstart [--seeds 3] [--first-seed 0] [--peer-python PATH]

Without --peer-python an environment for the peer is made in .peer/ (torch and transformers: several GB).
kerasft holds a tenth of the training data out to choose its best weights; the peer trains on all of it and
takes its last weights.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.sides import ROOT, make_peer, peer_files, peer_settings, run_kerasft, run_peer
from kerasft.config.load import load_config

CONFIG = ROOT / "configs" / "reuters-r8.yaml"
FIGURES = ("accuracy", "macro_f1", "seconds", "examples_per_second", "real_tokens_per_second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--peer-python", help="of an environment with torch, transformers, accelerate, scikit-learn")
    args = parser.parse_args()
    python = args.peer_python or make_peer()
    config = load_config(CONFIG, [])
    with tempfile.TemporaryDirectory() as folder:
        options = peer_settings(config) | peer_files(config, Path(folder))
        rows = []
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            theirs = options | {"seed": seed}
            rows.append((run_kerasft(CONFIG, seed), run_peer(python, "hf_text_classification.py", theirs)))
            show(seed, *rows[-1])
    for figure in FIGURES:
        mine, theirs = ([row[side][figure] for row in rows] for side in (0, 1))
        ratio = statistics.median(a / b for a, b in zip(mine, theirs))
        print(f"{figure}: kerasft {mean(mine)}, peer {mean(theirs)}, median of the ratios {ratio:.3f}")


def show(seed: int, mine: dict[str, float], theirs: dict[str, float]) -> None:
    for name, found in (("kerasft", mine), ("peer", theirs)):
        print(f"seed {seed}, {name}: " + ", ".join(f"{figure} {found[figure]:.4g}" for figure in FIGURES), flush=True)


def mean(values: list[float]) -> str:
    spread = f" (sd {statistics.stdev(values):.2g})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{spread}"


if __name__ == "__main__":
    main()
