"""Eight adapters in one export, beside an export of each: bytes, answers and time.

    python -m benchmarks.adapters_export --data FOLDER [--adapters 8] [--steps 50] [--rounds 5] [--runs runs/adapters]

Trains runs of Banking77 by `lora`, rank 8, on all linear layers, from other seeds and for a few steps (a run that is
there is not made again). Each is exported by itself, merged, and all of them in one export. The report has the bytes of
one merged export and of the one with all; the largest difference of a probability between an adapter's answer and the
merged one's, over the first 200 test rows, for each adapter by its signature and in batches whose rows name their
adapters; and milliseconds of the same batches by one merged export, by a signature, and by mixed batches, in one
process in turn, the least of --rounds rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.sides import ROOT

ROWS = 200
CALLS = {1: 60, 32: 10}  # batches of each size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/adapters"))
    args = parser.parse_args()
    home = (args.data / "banking77").resolve()
    names = [f"adapter-{number}" for number in range(args.adapters)]
    for seed, name in enumerate(names):
        if not (args.runs / "exports" / name).is_dir():
            keys = [f"name={name}", f"seed={seed}", f"data.train={home / 'train.jsonl'}", f"output.dir={args.runs}"]
            keys += [
                "data.test=null",
                f"export.dir={args.runs}/exports",
                "model.peft={method: lora, rank: 8, alpha: 16}",
            ]
            keys += ["training.epochs=null", f"training.steps={args.steps}", "training.optimizer.learning_rate=1e-3"]
            kerasft("train", str(ROOT / "configs" / "banking77.yaml"), *keys, "--overwrite")
    exports = args.runs / "exports"
    if not (exports / "all").is_dir():
        runs = ", ".join(f"{name}: 'run:{(args.runs / name).resolve()}'" for name in names)
        config = args.runs / "adapters.yaml"
        config.write_text(f"name: all\nexport: {{dir: '{exports}', adapters: {{{runs}}}}}\n", encoding="utf-8")
        kerasft("export", str(config))
    one, together = (bytes_of(exports / name) / 1e6 for name in (names[0], "all"))
    most = 1.1 * one + 1.6 * args.adapters
    print(f"MB: one merged {one:.1f}, all {args.adapters} {together:.1f}, one and 10 % and 1.6 for each {most:.1f}")
    with open(home / "test.jsonl", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    compare(exports, names, texts, args.rounds)


def kerasft(*words: str) -> None:
    process = subprocess.run([sys.executable, "-m", "kerasft", *words], stderr=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit(process.stderr[-2000:])


def bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def compare(exports: Path, names: list[str], texts: list[str], rounds: int) -> None:
    """Prints how far answers are apart, and how long they take."""
    import kerasft
    from kerasft.compress.measures import timed

    rows = [{"text": text, "adapter": names[place % len(names)]} for place, text in enumerate(texts)]
    mixed = by_signature(kerasft.load(exports / "all"))
    together = mixed(rows[:ROWS])
    worst = {"signature": 0.0, "mixed": 0.0}
    for number, name in enumerate(names):
        merged = kerasft.load(exports / name).answer(texts[:ROWS])
        alone = kerasft.load(exports / "all", adapter=name).answer(texts[:ROWS])
        worst["signature"] = max([worst["signature"], *map(difference, merged, alone)])
        own = range(number, ROWS, len(names))
        worst["mixed"] = max([worst["mixed"], *(difference(merged[place], together[place]) for place in own)])
    print("largest difference of a probability:", {name: f"{value:.1e}" for name, value in worst.items()})
    merged, one = kerasft.load(exports / names[0]), kerasft.load(exports / "all", adapter=names[0])
    sides = {
        "merged": lambda batch: merged.answer([row["text"] for row in batch]),
        "signature": lambda batch: one.answer([row["text"] for row in batch]),
        "mixed": mixed,
    }
    for size, count in CALLS.items():
        batches = [rows[start : start + size] for start in range(0, size * count, size)]
        times = [1e3 * statistics.median(each) for each in timed(list(sides.values()), batches, rounds)]
        figures = (f"{name} {each:.2f} ms ({each / times[0]:.2f})" for name, each in zip(sides, times))
        print(f"{size} {'text' if size == 1 else 'texts'}: {', '.join(figures)}")


def by_signature(predictor: Any) -> Callable[[list[dict]], list[dict]]:
    """Answers of the signature that servers ask, whose rows name their adapters; other programs ask each by its own."""
    import tensorflow as tf

    (one, *_) = predictor.adapters.values()
    signature, labels = one.answerer.loaded.signatures["serving_default"], one.task.state["labels"]

    def answer(rows: list[dict]) -> list[dict]:
        columns = {name: tf.constant([row[name] for row in rows]) for name in ("text", "adapter")}
        probabilities = signature(**columns)["probabilities"].numpy()
        return [{"probabilities": dict(zip(labels, map(float, row)))} for row in probabilities]

    return answer


def difference(one: dict, other: dict) -> float:
    """Largest difference of a probability of the same label."""
    return max(abs(value - other["probabilities"][label]) for label, value in one["probabilities"].items())


if __name__ == "__main__":
    main()
