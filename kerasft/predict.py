"""`python -m kerasft.predict RUN_OR_SAVED_MODEL --input FILE|-`: answers texts as JSON Lines, in order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from kerasft.data.readers import STREAM_READERS
from kerasft.data.sources import Record, read_records
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.serving.saved_model import Export
from kerasft.tasks.base import Task
from kerasft.terminal import Parser, Terminal, quiet_tensorflow, run_program


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("kerasft predict", description=__doc__)
    parser.add_argument("model", type=Path, help="a run, or saved_models/NAME[/VERSION]")
    parser.add_argument("--input", required=True, help="a file (text, CSV, JSON Lines, ...; also .gz), or - for stdin")
    parser.add_argument("--format", default="auto", help="txt, csv, tsv, jsonl, ...; auto: by the ending, txt for -")
    parser.add_argument("--batch-size", type=int, default=64, help="texts a call of the model")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: predict(args.model, args.input, args.format, args.batch_size, args.verbose))


def predict(model: Path, source: str, format: str, batch_size: int, verbose: bool) -> int:
    """Streams: a batch is read, answered and written before the next is read."""
    if batch_size < 1:
        raise UserError(f"--batch-size: {batch_size} is not a size; use 1 or more")
    opened = Run.open(model) if (model / "config.yaml").is_file() else Export.open(model)
    records = _read_stdin(format) if source == "-" else read_records(source, format)
    quiet_tensorflow(verbose)
    answerer, terminal = opened.load(), Terminal(verbose)
    for batch in _batches(records, answerer.task, batch_size):
        columns = {name: [row[name] for row in batch] for name in answerer.task.inputs}
        for answer in answerer.task.rows(answerer.answer(columns)):
            terminal.result(json.dumps(answer, ensure_ascii=False))
    return 0


def _batches(records: Iterator[Record], task: Task, size: int) -> Iterator[list[dict[str, str]]]:
    rows = (task.parse_inputs(record) for record in records)
    while batch := list(islice(rows, size)):
        yield batch


def _read_stdin(format: str) -> Iterator[Record]:
    kind = "txt" if format == "auto" else format
    if kind not in STREAM_READERS:
        raise UserError(f"--format: {format!r} can't be read from stdin; there are: {', '.join(STREAM_READERS)}")
    return (Record(values, where) for values, where in STREAM_READERS[kind](sys.stdin.buffer, "stdin"))


if __name__ == "__main__":
    sys.exit(main())
