"""Every way to train few weights, by the same recipe: score, weights, time of a step, memory, bytes.

    python -m benchmarks.peft_methods --data FOLDER [--sets stsb ...] [--ways all lora bitfit ...] [--seeds 0 1 2]
        [--results peft_methods.jsonl] [--runs runs/peft]

Sets and their configs are those of `benchmarks.objectives`, and go_emotions. `all` trains all weights, by the config as
it is. Each method has the learning rate that docs/peft.md gives it to start with, on every set: none is chosen by test.
Each run is a process of its own; one that is in the results file is not made again. The table has the mean test score,
trained weights and their share, the time of the steps over that of `all` (side by side only where nothing else runs),
peak memory, and the bytes of a checkpoint and of the adapter. Test is read once for each run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.objectives import SETS, run_missing, trained


def peft(rate: float, **keys: Any) -> list[str]:
    """A method by its keys, at a learning rate."""
    return [f"model.peft={json.dumps(keys)}", f"training.optimizer.learning_rate={rate}"]


PAIRS = {"rank": 8, "alpha": 16, "scaling": "sqrt"}
WAYS: dict[str, list[str]] = {
    "all": [],
    "lora": peft(1e-3, method="lora", **PAIRS),
    "dora": peft(1e-3, method="dora", **PAIRS),
    "adalora": peft(1e-3, method="adalora", rank=12, target_rank=8),
    "pissa": peft(2e-4, method="pissa", rank=8, alpha=8),
    "qlora": peft(1e-3, method="qlora", **PAIRS),
    "vera": peft(5e-3, method="vera", rank=256),
    "adapter": peft(1e-3, method="adapter", width=48, style="pfeiffer"),
    "ia3": peft(5e-3, method="ia3"),
    "bitfit": peft(1e-3, method="bitfit"),
    "layernorm": peft(2e-3, method="layernorm"),
    "prefix": peft(5e-3, method="prefix", tokens=20),
    "prompt": peft(3e-2, method="prompt", tokens=20),
    "p_tuning": peft(5e-3, method="p_tuning", tokens=20),
    "last_2_layers": ["model.trainable=last_2_layers"],
    "head": ["model.trainable=head", "training.optimizer.learning_rate=1.0e-3"],
}
MORE = {**SETS, "go_emotions": ("go-emotions", "go_emotions", "macro_f1", [])}


def main() -> None:
    run_missing(arguments(), train, table)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=MORE, default=["stsb"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--results", type=Path, default=Path("peft_methods.jsonl"))
    parser.add_argument("--runs", type=Path, default=Path("runs/peft"))
    return parser.parse_args()


def train(name: str, way: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Trains one run, and returns its figures."""
    figures, run = trained(MORE[name], {"set": name, "way": way, "seed": seed}, WAYS[way], args)
    model = json.loads((run / "metrics.json").read_text())["model"]
    keys = "trainable_parameters", "trainable_share", "checkpoint_bytes", "peak_memory_bytes"
    figures |= {key: model.get(key) for key in keys}
    adapter = run / "adapter" / "adapter_model.safetensors"
    return {**figures, "adapter_bytes": adapter.stat().st_size if adapter.is_file() else None}


def table(rows: list[dict[str, Any]]) -> None:
    """Prints what is known by now."""
    print(f"{'set':14} {'way':14} {'seeds':>5} {'score':>7} {'weights':>11} {'step':>6} {'memory':>9} {'saved':>9}")
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        base = {row["seed"]: row["step_seconds"] for row in mine if row["way"] == "all"}
        for way in dict.fromkeys(row["way"] for row in mine):
            each = [row for row in mine if row["way"] == way]
            score = 100 * statistics.mean(row["score"] for row in each)
            steps = [row["step_seconds"] / base[row["seed"]] for row in each if row["seed"] in base]
            step = f"{statistics.mean(steps):6.2f}" if steps else "     -"
            memory, saved = (each[0][key] or 0 for key in ("peak_memory_bytes", "checkpoint_bytes"))
            print(
                f"{name:14} {way:14} {len(each):5} {score:7.2f} {each[0]['trainable_parameters']:11,} {step} "
                f"{memory / 1e6:6.0f} MB {saved / 1e6:6.1f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
