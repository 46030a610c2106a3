"""`training.contrastive` beside the package setfit: same weights, same rows, accuracy on the whole test split and time.

    python -m benchmarks.setfit_shots --data FOLDER --peer-python PATH [--shots 8] [--draws 5] [--threads 2]
        [--sides kerasft setfit] [--config configs/banking77-8-shots-contrastive.yaml]
        [--results setfit_shots.jsonl] [KEY=VALUE ...]

--data has train.jsonl and test.jsonl with text and label, such as those of banking77. --peer-python is the Python of an
environment with setfit and torch. The rows of a draw are those of `data.shots`; both sides read them from one file.
setfit draws 20 pairs a text of its label and 20 of others (8 rows of 77 labels: 24,640 pairs; its default would draw
over 370,000), batches of 16, learning rate 2e-5, one epoch, and fits its own head. Times are of whole processes, with
starting, training and the answers to test. The sides take turns. Draws that are in the results file are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.sides import ROOT, run_kerasft, run_peer
from kerasft.config.load import load_config
from kerasft.data.sources.packages import fetch_package_path
from kerasft.data.stages.shots import rows_by_label

SIDES = ("kerasft", "setfit")


def main() -> None:
    args = arguments()
    if args.threads:
        os.environ |= {"OMP_NUM_THREADS": str(args.threads), "TF_NUM_INTRAOP_THREADS": str(args.threads)}
    done = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.is_file() else []
    for draw in range(args.draws):
        for side in args.sides:
            key = {"shots": args.shots, "draw": draw, "side": side, "keys": args.keys if side == "kerasft" else []}
            if any(all(row[name] == value for name, value in key.items()) for row in done):
                continue
            print(f"== {side}, draw {draw}", flush=True)
            begun = time.perf_counter()
            accuracy = train(args, side, draw)
            done.append(key | {"accuracy": accuracy, "seconds": time.perf_counter() - begun})
            with args.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[-1]) + "\n")
    for side in args.sides:
        keys = args.keys if side == "kerasft" else []
        mine = [row for row in done if (row["shots"], row["side"], row["keys"]) == (args.shots, side, keys)]
        accuracy, seconds = ([row[name] for row in mine] for name in ("accuracy", "seconds"))
        each = ", ".join(f"{100 * value:.1f}" for value in accuracy)
        print(f"{side:8} {100 * statistics.mean(accuracy):.2f} ({each})  {statistics.mean(seconds):.0f} s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer-python", default="", help="of an environment with setfit and torch")
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "banking77-8-shots-contrastive.yaml")
    parser.add_argument("--results", type=Path, default=Path("setfit_shots.jsonl"))
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="of the config")
    return parser.parse_args()


def train(args: argparse.Namespace, side: str, draw: int) -> float:
    """Accuracy on test after a training from the rows of a draw."""
    test = (args.data / "test.jsonl").resolve()
    rows = write_rows(args.data / "train.jsonl", args.shots, draw, args.results.resolve().parent)
    if side == "kerasft":
        keys = [f"data.train={rows}", f"data.test={test}", f"data.shots={args.shots}", "data.draws=1", *args.keys]
        return run_kerasft(args.config, draw, keys)["accuracy"]
    loaded = load_config(args.config, [f"data.train={rows}", f"data.test={test}"])
    options: dict[str, Any] = {"model": fetch_package_path(str(loaded.model.preset)), "train": rows, "test": test}
    options |= {"max_length": loaded.model.max_length, "seed": draw}
    options |= {"threads": args.threads} if args.threads else {}
    return run_peer(args.peer_python, "setfit_classification.py", options)["accuracy"]


def write_rows(train: Path, shots: int, draw: int, folder: Path) -> Path:
    """The rows of `data.shots` with seed 0, in the order of the file."""
    rows = [json.loads(line) for line in train.read_text(encoding="utf-8").splitlines()]
    labels, texts = ([row[name] for row in rows] for name in ("label", "text"))
    kept = sorted(row for every in rows_by_label(labels, zip(texts), 0, draw).values() for row in every[:shots])
    made = folder / f"{train.parent.name}-{shots}-{draw}.jsonl"
    made.write_text("".join(json.dumps(rows[place], ensure_ascii=False) + "\n" for place in kept), encoding="utf-8")
    return made


if __name__ == "__main__":
    main()
