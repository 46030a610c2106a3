"""Exports trained runs and asks each export the first rows of its test split, in a process without TensorFlow in it.

    python -m benchmarks.export_agreement RUN [RUN ...] [--rows 200]

Strings, labels and character offsets must be equal to those of the model in this process, numbers within 1e-4; all rows
at once and each row alone. The exports are thrown away.
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
    args = parser.parse_args()
    for folder in args.runs:
        print(f"{folder.name}: {agreement(Run.open(folder), args.rows)}", flush=True)


def agreement(run: Run, rows: int) -> str:
    trained = run.load()
    task = trained.task
    table = read_split(run.config, task, run.config.data.test, "test")
    chosen = next(table.batches(rows, list(task.inputs)))
    inputs = {name: [text.encode() if isinstance(text, str) else text for text in chosen[name]] for name in task.inputs}
    with tempfile.TemporaryDirectory() as directory:
        facts = {"config": run.config.model_dump(), "state": task.state}
        version = export(task, trained.preprocessor, trained.model, Path(directory) / run.config.name, facts)
        return str(check(version, inputs, expected_answers(task, trained.preprocessor, trained.model, inputs)))


if __name__ == "__main__":
    main()
