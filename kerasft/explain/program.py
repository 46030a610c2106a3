"""`python -m kerasft.explain RUN --input FILE|-`: what each word adds to each answer, as JSON Lines.

With --rows it also names the training rows that spoke for and against each answer, with --edits the fewest words
without which the answer is another; --harmful N lists the training rows whose label looks wrong, without an input.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.attribution.integrated_gradients import POINTS
from kerasft.attribution.registry import DEFAULT, METHODS, check_explains, create
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_input
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.inference.export import Export
from kerasft.inference.predictor import open_model
from kerasft.paths import is_address
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    from kerasft.explain.influence import TrainingRows
    from kerasft.inference.local import LocalPredictor

WINDOW = 64  # texts that are explained before the next are read
LARGEST_TOLD = 0.05  # gap of completeness that is told


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("explain", __doc__, "runs/NAME --input texts.txt")
    parser.add_argument("model", help="a run, such as runs/NAME")
    parser.add_argument("--input", help="a file (text, CSV, JSON Lines, ...; also .gz), or - for stdin")
    parser.add_argument("--format", default="auto", help="txt, csv, tsv, jsonl, ...; auto: by the ending, txt for -")
    parser.add_argument("--method", choices=METHODS, help=f"default: {DEFAULT}")
    parser.add_argument("--label", help="explain the logit of this label, not that of the answer")
    parser.add_argument(
        "--contrast",
        nargs="?",
        const="",
        metavar="LABEL",
        help="why the answer and not this label; without a label: not the next likeliest",
    )
    parser.add_argument("--points", type=int, default=POINTS, help="of integrated gradients; doubled until they do")
    parser.add_argument("--rows", type=int, metavar="N", help="training rows for and against each answer, and nearest")
    parser.add_argument("--edits", action="store_true", help="the fewest words without which the answer is another")
    parser.add_argument("--harmful", type=int, metavar="N", help="training rows whose label looks wrong; no --input")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    if (args.input is None) == (args.harmful is None):
        parser.error("give --input FILE, or --harmful N for the training rows themselves")
    return run_program(lambda: explain(args))


def explain(args: argparse.Namespace) -> int:
    """Streams: a window of texts is read, explained and written before the next is read."""
    method = args.method or DEFAULT
    create(method, args.points)
    for option in ("rows", "harmful"):
        if (count := getattr(args, option)) is not None and count < 1:
            raise UserError(f"--{option}: {count} is too few; use 1 or more")
    if is_address(args.model):
        raise UserError(f"{args.model}: a server gives answers alone; explain the run of the model, such as runs/NAME")
    run = open_model(Path(args.model))
    if isinstance(run, Export):
        return _explain_export(run, args)
    if not isinstance(run, Run):
        raise UserError(f"{args.model}: explaining takes the gradients of a run, such as runs/NAME")
    task, terminal = create_task(run.config, run.load_state()), Terminal(args.verbose)
    check_explains(task)
    if args.edits or args.rows or args.harmful:
        _check_labels(task)
    data = run.config.data.model_copy(update={"encoding": "auto", "delimiter": "auto"})
    records = read_input(args.input, args.format, Reading.of(data, terminal.line)) if args.input else iter(())
    tables = load_splits(run.config, create_task(run.config), terminal.line) if args.rows or args.harmful else {}
    quiet_tensorflow(args.verbose)
    from kerasft.inference.local import LocalPredictor

    trained, training_rows = run.load(), None
    if tables:
        from kerasft.explain.influence import TrainingRows

        training_rows = TrainingRows(run, trained, tables["train"], terminal)
        if args.harmful is not None:
            for row in training_rows.harmful(tables["validation"], args.harmful):
                terminal.result(json.dumps(row, ensure_ascii=False))
            return 0
    rows = (task.parse_inputs(record) for record in records)
    worst = 0.0
    for line in _lines(LocalPredictor(trained), rows, args, training_rows):
        terminal.result(json.dumps(line, ensure_ascii=False))
        worst = max(worst, line["completeness_gap"] or 0.0)
    if create(method).complete and worst > LARGEST_TOLD:
        terminal.line(f"warning: the scores of a text miss what its words change by {worst:.1%}; its line says which")
    return 0


def _explain_export(export: Export, args: argparse.Namespace) -> int:
    """What the export's own signature says. Raises UserError: it has none, or something else is asked."""
    served = export.config.export.explain
    asked = args.rows or args.edits or args.harmful or args.label is not None or args.contrast is not None
    asked = asked or args.points != POINTS
    if served is None or asked or args.method not in (None, served):
        has = f"this one has {served}" if served else "this one has none"
        raise UserError(
            f"{args.model}: an export has no gradients beside those of export.explain, and {has}; explain its run, "
            "such as runs/NAME, or leave the other options out"
        )
    terminal = Terminal(args.verbose)
    data = export.config.data.model_copy(update={"encoding": "auto", "delimiter": "auto"})
    records = read_input(args.input, args.format, Reading.of(data, terminal.line))
    rows = (export.task.parse_inputs(record) for record in records)
    quiet_tensorflow(args.verbose)
    from kerasft.inference.local import LocalPredictor

    predictor, done = LocalPredictor(export.load()), 0
    size = WINDOW if args.input != "-" or sys.stdin.seekable() else 1  # a pipe, whose other end may wait
    while window := list(itertools.islice(rows, size)):
        for line in predictor.explain(window):
            terminal.result(json.dumps(line | {"row": done + line["row"]}, ensure_ascii=False))
        done += len(window)
    return 0


def _lines(
    predictor: LocalPredictor, rows: Iterator[dict[str, str]], args: argparse.Namespace, training: TrainingRows | None
) -> Iterator[dict[str, Any]]:
    """One line for each thing that was answered, in the order of the rows."""
    method, done = create(args.method or DEFAULT, args.points), 0
    size = WINDOW if args.input != "-" or sys.stdin.seekable() else 1  # a pipe, whose other end may wait
    while window := list(itertools.islice(rows, size)):
        lines = list(predictor.explainer.explain(window, method, args.label, args.contrast))
        if training is not None:
            texts, labels = [window[line["row"]] for line in lines], [line["label"] for line in lines]
            for line, found in zip(lines, training.explain(texts, labels, args.rows)):
                line["rows"] = found
        for line in lines:
            if args.edits:
                from kerasft.explain.questions import fewest

                line["edits"] = fewest(predictor, window[line["row"]])
            yield line | {"row": done + line["row"]}
        done += len(window)


def _check_labels(task: Task) -> None:
    """Raises UserError where an answer is not one label of several."""
    if not task.config.task.calibrates:  # what has one label a text
        name = task.config.task.name
        raise UserError(f"--rows, --edits and --harmful: for one label a text, not for {name} as this run has it")


if __name__ == "__main__":
    sys.exit(main())
