"""How long `kerasft inspect` takes for many short texts, and how much memory.

    python benchmarks/inspect_speed.py --rows 1000000

Texts are of 6 to 18 words with the frequencies of a language (Zipf). One in 50 is an earlier text with other case and
punctuation, one in 20 an earlier text with a word changed, and 10,000 rows of test have such texts, too. The command
runs in a process of its own; processor time and peak memory are the operating system's figures for it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CONFIG = """
name: many
task: {name: text_classification}
model: {preset: none}
data:
  train: train.jsonl
  validation: 0.01
  test: test.jsonl
  columns: {text: text, label: label}
"""


def texts(rows: int, seed: int) -> Iterator[str]:
    """So many texts, one after the other."""
    random = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(random.choice(letters, random.integers(2, 10))) for _ in range(50_000)]
    chances = 1.0 / np.arange(3, len(words) + 3)
    chances /= chances.sum()
    before: list[str] = []
    for start in range(0, rows, 10_000):
        count = min(10_000, rows - start)
        lengths = random.integers(6, 19, count)
        drawn = iter(random.choice(len(words), int(lengths.sum()), p=chances).tolist())
        made = []
        for length in lengths.tolist():
            text, kind = " ".join(words[next(drawn)] for _ in range(length)), random.random()
            if before and kind < 0.02:
                text = before[int(random.integers(len(before)))].capitalize() + "!"
            elif before and kind < 0.07:
                parts = before[int(random.integers(len(before)))].split()
                parts[int(random.integers(len(parts)))] = words[int(random.integers(len(words)))]
                text = " ".join(parts)
            made.append(text)
        before += made
        yield from made


def write(file: Path, rows: Iterator[str]) -> int:
    """Writes rows with a label each; the characters of their texts."""
    size = 0
    with open(file, "w", encoding="utf-8") as out:
        for number, text in enumerate(rows):
            size += len(text)
            out.write(json.dumps({"text": text, "label": f"class {number % 7}"}) + "\n")
    return size


def main(rows: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        size = write(Path(folder) / "train.jsonl", texts(rows, seed))
        write(Path(folder) / "test.jsonl", texts(max(1, rows // 100), seed + 1))
        Path(folder, "many.yaml").write_text(CONFIG)
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        begun = time.monotonic()
        with open(Path(folder) / "findings.json", "wb") as out:
            command = [sys.executable, "-m", "kerasft", "inspect", "many.yaml", "--json"]
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        findings = json.loads(Path(folder, "findings.json").read_text())
    counts = Counter({f"{each['split']} {each['kind']}": each["count"] for each in findings})
    print(f"{rows:,} rows, {size / rows:.0f} characters each; exit code {os.waitstatus_to_exitcode(status)}")
    used, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20
    print(f"{seconds:.1f} s, of the processor {used:.1f} s, {memory:.2f} GiB")
    print(", ".join(f"{name} {count:,}" for name, count in counts.most_common()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
