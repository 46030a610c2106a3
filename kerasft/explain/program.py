"""`python -m kerasft.explain RUN --input FILE|-`: what each word adds to each answer, as JSON Lines."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.attribution.integrated_gradients import POINTS
from kerasft.attribution.registry import DEFAULT, METHODS, check_explains, create
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_input
from kerasft.errors import UserError
from kerasft.inference.predictor import open_model
from kerasft.inference.remote import is_address
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

WINDOW = 64  # texts that are explained before the next are read
LARGEST_TOLD = 0.05  # gap of completeness that is told


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("explain", __doc__, "runs/NAME --input texts.txt")
    parser.add_argument("model", help="a run, such as runs/NAME")
    parser.add_argument("--input", required=True, help="a file (text, CSV, JSON Lines, ...; also .gz), or - for stdin")
    parser.add_argument("--format", default="auto", help="txt, csv, tsv, jsonl, ...; auto: by the ending, txt for -")
    parser.add_argument("--method", choices=METHODS, default=DEFAULT, help=f"default: {DEFAULT}")
    parser.add_argument("--label", help="explain the logit of this label, not that of the answer")
    parser.add_argument(
        "--contrast",
        nargs="?",
        const="",
        metavar="LABEL",
        help="why the answer and not this label; without a label: not the next likeliest",
    )
    parser.add_argument("--points", type=int, default=POINTS, help="of integrated gradients; doubled until they do")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: explain(args))


def explain(args: argparse.Namespace) -> int:
    """Streams: a window of texts is read, explained and written before the next is read."""
    method = create(args.method, args.points)
    if is_address(args.model):
        raise UserError(f"{args.model}: a server gives answers alone; explain the run of the model, such as runs/NAME")
    opened = open_model(Path(args.model))
    if not isinstance(opened, Run):
        raise UserError(f"{args.model}: explaining takes the gradients of a run, such as runs/NAME")
    task, terminal = create_task(opened.config, opened.load_state()), Terminal(args.verbose)
    check_explains(task)
    data = opened.config.data.model_copy(update={"encoding": "auto", "delimiter": "auto"})
    records = read_input(args.input, args.format, Reading.of(data, terminal.line))
    quiet_tensorflow(args.verbose)
    from kerasft.attribution.explainer import Explainer

    explainer, done, worst = Explainer(opened.load()), 0, 0.0
    rows = (task.parse_inputs(record) for record in records)
    size = WINDOW if args.input != "-" or sys.stdin.seekable() else 1  # a pipe, whose other end may wait
    while window := list(itertools.islice(rows, size)):
        for found in explainer.explain(window, method, args.label, args.contrast):
            terminal.result(json.dumps(found | {"row": done + found["row"]}, ensure_ascii=False))
            worst = max(worst, found["completeness_gap"] or 0.0)
        done += len(window)
    if method.complete and worst > LARGEST_TOLD:
        terminal.line(f"warning: the scores of a text miss what its words change by {worst:.1%}; its line says which")
    return 0


if __name__ == "__main__":
    sys.exit(main())
