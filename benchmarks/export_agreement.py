"""Exports trained runs and asks each export the first rows of its test split, in a process without TensorFlow in it.

    python -m benchmarks.export_agreement RUN [RUN ...] [--rows 200] [--mask '[MASK]']

Strings, labels and character offsets must be equal to those of the model in this process, numbers within 1e-4; all rows
at once and each row alone. The exports are thrown away. A masked language model has nothing to say of a text without a
mask: --mask puts one in the place of each text's middle word.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from kerasft.data.splits import read_split
from kerasft.runs import Run
from kerasft.serving.exporter import expected_answers, export
from kerasft.serving.servable_check import check


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--mask", help="such as [MASK]")
    args = parser.parse_args()
    for folder in args.runs:
        print(f"{folder.name}: {agreement(Run.open(folder), args.rows, args.mask)}", flush=True)


def agreement(run: Run, rows: int, mask: str | None) -> str:
    trained = run.load()
    task = trained.task
    table = read_split(run.config, task, run.config.data.test, "test")
    chosen = next(table.batches(rows, list(task.inputs)))
    texts = {name: [masked(text, mask) if mask else text for text in chosen[name]] for name in task.inputs}
    inputs = {
        name: [text.encode() if isinstance(text, str) else text for text in column] for name, column in texts.items()
    }
    with tempfile.TemporaryDirectory() as directory:
        facts = {"config": run.config.model_dump(), "state": task.state}
        version = export(task, trained.preprocessor, trained.model, Path(directory) / run.config.name, facts)
        return str(check(version, inputs, expected_answers(task, trained.preprocessor, trained.model, inputs)))


def masked(text: str, mask: str) -> str:
    words = text.split()
    words[len(words) // 2 : len(words) // 2 + 1] = [mask]
    return " ".join(words)


if __name__ == "__main__":
    main()
