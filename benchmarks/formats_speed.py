"""Texts in, labels out: every form of an export beside ONNX Runtime, the same texts in turn.

    python -m benchmarks.formats_speed RUN [--rounds 5] [--threads N] [--sides run saved_model litert onnx ...]
        [--results formats_speed.jsonl]

Sides (each answers raw strings, unless it says otherwise):
    run, run-bf16       what `kerasft predict RUN [--precision mixed_bfloat16]` does once the run is loaded
    saved_model         the SavedModel's default signature, as Python's TensorFlow runs it
    litert              `export.formats: litert`, int8
    onnx                `export.formats: onnx` by ONNX Runtime, float32
    onnx-int8           the same file after ONNX Runtime's own `quantize_dynamic`
    onnx-ids, onnx-int8-ids
                        ONNX Runtime alone: tokens in, logits out, so that no tokenizer is counted
RUN is a finished run of a task with labels; what it is exported to goes to a temporary folder. Lengths are those of
its test split. All sides take the same batches one after the other in one process, with --threads threads each; ONNX
Runtime's threads do not spin while others work. A first round, in which graphs are made, is not counted. The table
gives, for one text and for 32, the median milliseconds of a call over the batches, the least of the rounds of each, and
how often the labels are those of the first side.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SIDES = ("run", "run-bf16", "saved_model", "litert", "onnx", "onnx-int8", "onnx-ids", "onnx-int8-ids")
CALLS = {1: 60, 32: 10}  # batches of each size
FORMATS = ["saved_model", "litert", "onnx"]
Row = dict[str, str]
Answer = Callable[[Sequence[Row]], list[str]]


def main() -> None:
    args = arguments()
    from kerasft.console.terminal import Silent, quiet_tensorflow

    quiet_tensorflow(False)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    from kerasft.compress.measures import timed
    from kerasft.measure import read_own_split
    from kerasft.runs import Run
    from kerasft.tasks.registry import create_task

    run = Run.open(args.run)
    task = create_task(run.config, run.load_state())
    table = read_own_split(run, args.run, task, "test", Silent())
    most = sum(size * count for size, count in CALLS.items())
    if len(table) < most or "labels" not in task.state:
        sys.exit(f"{args.run}: needs a task with labels and {most} test rows; it has {len(table)} rows")
    chosen = np.random.default_rng(0).permutation(len(table))[:most]
    rows = [{name: str(row[name]) for name in task.inputs} for row in table.rows(chosen)]
    with tempfile.TemporaryDirectory() as folder:
        sides = dict(make_sides(run, Path(folder), args))
        places = iter(rows)
        batches = [list(itertools.islice(places, size)) for size, count in CALLS.items() for _ in range(count)]
        seconds = dict(zip(sides, timed(list(sides.values()), batches, args.rounds)))
        labels = {name: [answer(batch) for batch in batches] for name, answer in sides.items()}
    report(args, seconds, labels, batches)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--results", type=Path)
    return parser.parse_args()


def make_sides(run: Any, folder: Path, args: argparse.Namespace) -> Iterator[tuple[str, Answer]]:
    """Name and function of each side that was asked for."""
    from kerasft.console.terminal import Silent
    from kerasft.inference.batches import with_fused_layers
    from kerasft.inference.export import Export
    from kerasft.inference.local import LocalPredictor
    from kerasft.serving.formats import litert, onnx
    from kerasft.serving.formats.converted import ConvertedExport
    from kerasft.serving.formats.registry import write_formats
    from kerasft.session import export_run

    def labels(answerer: Any) -> Answer:
        predictor = LocalPredictor(answerer)
        return lambda rows: [answer["label"] for answer in predictor.answer_batch(list(rows))]

    for name in ("run", "run-bf16"):
        if name in args.sides:
            yield name, labels(with_fused_layers(run.load(), name == "run-bf16"))
    export = run.config.export.model_copy(update={"formats": FORMATS, "dir": str(folder)})
    run = dataclasses.replace(run, config=run.config.model_copy(update={"export": export}))
    export_run(run, Silent(), str(folder))
    home = folder / run.config.served_name
    write_formats(run, home, lambda line: None)
    if "saved_model" in args.sides:
        yield "saved_model", labels(Export.open(home).load())
    onnx.THREADS = litert.THREADS = args.threads
    if "litert" in args.sides:
        yield "litert", labels(ConvertedExport.open(home / "litert").load())
    from onnxruntime.quantization import QuantType, quantize_dynamic

    narrow = folder / "onnx-int8"
    (home / "onnx").rename(folder / "onnx")
    shutil.copytree(folder / "onnx", narrow)
    quantize_dynamic(folder / "onnx" / onnx.FILE, narrow / onnx.FILE, weight_type=QuantType.QInt8)
    for name in ("onnx", "onnx-int8"):
        converted = ConvertedExport.open(folder / name).load()
        if name in args.sides:
            yield name, labels(converted)
        if f"{name}-ids" in args.sides:
            yield f"{name}-ids", ids_alone(converted)


def ids_alone(converted: Any) -> Answer:
    """The model's own time: tokens were found before, in a round that is not counted."""
    known: dict[str, Mapping[str, np.ndarray]] = {}
    names = converted.task.state["labels"]

    def answer(rows: Sequence[Row]) -> list[str]:
        key = json.dumps(rows)
        if key not in known:
            columns = {name: [row[name] for row in rows] for name in converted.task.inputs}
            known[key] = {name: value.numpy() for name, value in converted._features(columns).items()}
        return [names[place] for place in converted._run()(known[key]).argmax(-1)]

    return answer


def report(
    args: argparse.Namespace,
    seconds: Mapping[str, list[float]],
    labels: Mapping[str, list[list[str]]],
    batches: Sequence[Sequence[Row]],
) -> None:
    """Prints the table, and writes the figures where they are to be kept."""
    first = next(iter(seconds))
    print(f"{'side':14} {'1 text, ms':>12} {'32 texts, ms':>13} {'same labels':>12}")
    for name, each in seconds.items():
        medians = {
            size: statistics.median(time for time, batch in zip(each, batches) if len(batch) == size) for size in CALLS
        }
        pairs = [one == other for mine, theirs in zip(labels[name], labels[first]) for one, other in zip(mine, theirs)]
        same = sum(pairs) / len(pairs)
        print(f"{name:14} {1e3 * medians[1]:12.2f} {1e3 * medians[32]:13.1f} {same:12.1%}")
        if args.results:
            line = {"side": name, "threads": args.threads, "seconds": medians, "same_labels": same}
            with args.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
