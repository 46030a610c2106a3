"""How long training takes to a test accuracy that the Hugging Face Trainer ends with, on the same machine.

    python -m benchmarks.time_to_accuracy [--data r8 banking77] [--seeds 1] [--first-seed 0] [--peer-python PATH]

The peer trains by the recipe of configs/, at its best (bf16, rows of like length together, padded to the longest), on
all training rows, and takes its last weights. kerasft trains by a recipe of its own for the same weights and data,
`RECIPES`, which was chosen on the validation split; its time is that of the whole training, validations included, so
that it has reached its accuracy then at the latest. Reading weights, tokenizing and tests are in neither time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from benchmarks.sides import ROOT, make_peer, peer_files, peer_settings, run_kerasft, run_peer
from kerasft.config.load import load_config

RECIPES = {
    "r8": ("quickstart.yaml", ()),
    "banking77": ("banking77.yaml", ()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--peer-python", help="of an environment with torch, transformers, accelerate, scikit-learn")
    args = parser.parse_args()
    python = args.peer_python or make_peer()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    rows = [compare(name, seed, python) for name in args.data for seed in seeds]
    print(table(rows))


def compare(name: str, seed: int, python: str) -> dict[str, dict[str, float] | str]:
    """One run of each side."""
    file, recipe = RECIPES[name]
    config = load_config(ROOT / "configs" / file, [])
    with tempfile.TemporaryDirectory() as folder:
        options = peer_settings(config) | peer_files(config, Path(folder)) | {"seed": seed}
        theirs = run_peer(python, "hf_text_classification.py", options)
    mine = run_kerasft(ROOT / "configs" / file, seed, recipe)
    row = {"data": name, "seed": seed, "load": round(os.getloadavg()[0], 1)}
    row |= {
        side: {key: found[key] for key in ("accuracy", "seconds")} for side, found in (("us", mine), ("peer", theirs))
    }
    print(json.dumps(row), flush=True)
    return row


def table(rows: list[dict]) -> str:
    lines = ["| data | seeds | peer | kerasft | time |", "| --- | --- | --- | --- | --- |"]
    for name in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == name]
        cells = [
            f"{100 * mean(here, side, 'accuracy'):.2f} in {mean(here, side, 'seconds'):.0f} s"
            for side in ("peer", "us")
        ]
        share = statistics.median(row["us"]["seconds"] / row["peer"]["seconds"] for row in here)
        reached = mean(here, "us", "accuracy") >= mean(here, "peer", "accuracy")
        said = f"{share:.2f} of the peer's" if reached else f"{share:.2f} of the peer's, whose accuracy is not reached"
        lines.append(f"| {name} | {len(here)} | {' | '.join(cells)} | {said} |")
    return "\n".join(lines)


def mean(rows: list[dict], side: str, figure: str) -> float:
    return statistics.mean(row[side][figure] for row in rows)


if __name__ == "__main__":
    main()
