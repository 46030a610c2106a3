"""`python -m kerasft.predict RUN_OR_SAVED_MODEL_OR_SERVER --input FILE|-`: answers texts as JSON Lines, in order."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_input, read_records
from kerasft.errors import UserError
from kerasft.inference.export import AdaptersExport, Export, is_export
from kerasft.inference.predictor import one_adapter, open_model
from kerasft.inference.remote import Remote, read_token
from kerasft.inference.stored_weights import HELP, INT4, stored_run, write_by_stored
from kerasft.inference.untrained import Untrained, by_labels
from kerasft.paths import is_address
from kerasft.prompting.label_requests import label_list
from kerasft.tasks.registry import create_task

PRECISIONS = ("float32", "mixed_bfloat16", INT4)


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("predict", __doc__, "runs/NAME --input texts.txt")
    parser.add_argument(
        "model",
        help="a run, saved_models/NAME[/VERSION or /litert], a config: its preset untrained, "
        "http://HOST:8501/v1/models/NAME, or with --labels a preset",
    )
    parser.add_argument("--labels", metavar="A,B", help="by these labels: a preset, or an export with export.labels")
    parser.add_argument("--template", help="with --labels: see prompting.template")
    parser.add_argument("--input", required=True, help="a file (text, CSV, JSON Lines, ...; also .gz), or - for stdin")
    parser.add_argument("--format", default="auto", help="txt, csv, tsv, jsonl, ...; auto: by the ending, txt for -")
    parser.add_argument("--batch-size", type=int, default=64, help="texts a call of the model")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="mixed_bfloat16: matrix products in bfloat16, scores to two digits; faster on most processors. "
        f"{HELP} (--batch-size 1)",
    )
    parser.add_argument("--adapter", metavar="NAME", help="which adapter answers, of an export with several")
    parser.add_argument("--index", metavar="CORPUS", help="answer with the nearest texts of this file (text_embedding)")
    parser.add_argument("--top", type=int, default=5, help="how many texts of the index an answer has (default: 5)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a server's bearer token, on its first line")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="the authority of a server's certificate")
    parser.add_argument("--trust", action="store_true", help="run a SavedModel that reaches files or networks, too")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    if is_address(args.model):
        return run_program(asked_server(parser, args))
    for option in ("token_file", "ca"):
        if getattr(args, option) is not None:
            parser.error(f"--{option.replace('_', '-')}: for a model on a server, not for one on this machine")
    if args.template is not None and args.labels is None:
        parser.error("--template: goes with --labels")
    if args.adapter is not None and args.labels is not None:
        parser.error("--adapter: of an export, and --labels are for a preset as it is")
    if args.index is not None and args.labels is not None:
        parser.error("--index: of a text_embedding model, and --labels make a classifier of a preset")
    ask = (args.input, args.format, args.batch_size, args.index, args.top, args.verbose)
    ask += (args.precision, args.trust, args.adapter)
    if args.labels is not None:
        return run_program(lambda: predict(labelled(args.model, args.labels, args.template), *ask))
    return run_program(lambda: predict(Path(args.model), *ask))


def asked_server(parser: Parser, args: argparse.Namespace) -> Callable[[], int]:
    """What asks a server; an option that is for a model on this machine ends the program."""
    if args.index is not None:
        parser.error("--index: for a model on this machine, not for one on a server")
    if args.precision != PRECISIONS[0]:
        parser.error("--precision: for a model on this machine, not for one on a server")
    if args.template is not None:
        parser.error("--template: for a preset on this machine, not for a model on a server")
    if args.labels is not None and args.adapter is not None:
        parser.error("--adapter: of an export with several, and --labels are for one with export.labels")

    def connect() -> Remote:
        token = None if args.token_file is None else read_token(args.token_file)
        labels = () if args.labels is None else label_list(args.labels)
        return Remote(args.model, token, args.ca, args.adapter, labels)

    return lambda: predict_remote(connect, args.input, args.format, args.batch_size, args.verbose)


def labelled(model: str, labels: str, template: str | None) -> Untrained | Export:
    """What answers by `--labels`: an export with `export.labels`, or a preset."""
    if not is_export(Path(model)):
        return by_labels(model, labels, template)
    if template is not None:
        raise UserError(f"--template: {model} has those that it was exported with; leave it out")
    export = Export.open(Path(model))
    if isinstance(export, AdaptersExport):
        raise UserError(f"--labels: {model} has adapters with labels of their own; leave it out")
    return export.by_labels(label_list(labels))


def predict(
    model: Path | Untrained | Export,
    source: str,
    format: str,
    batch_size: int,
    index: str | None,
    top: int,
    verbose: bool,
    precision: str = PRECISIONS[0],
    trust: bool = False,
    adapter: str | None = None,
) -> int:
    """Streams: a window of batches is read, answered and written before the next is read; from a pipe, one batch."""
    for option, value in (("--batch-size", batch_size), ("--top", top)):
        if value < 1:
            raise UserError(f"{option}: {value} is too few; use 1 or more")
    opened = (
        model if isinstance(model, (Untrained, Export)) else one_adapter(open_model(model, trust=trust), model, adapter)
    )
    if isinstance(opened, AdaptersExport):
        return predict_by_row(opened, source, format, batch_size, verbose, precision)
    task = create_task(opened.config)
    if index is not None and not task.embeds:
        raise UserError(f"--index: {model} is a {task.config.task.name}; searching takes a text_embedding model")
    stored = stored_run(opened, model, task) if precision == INT4 else None
    terminal = Terminal(verbose)
    # Texts to answer come from elsewhere than training did: only what is their own kind is told by the config.
    data = opened.config.data.model_copy(update={"encoding": "auto", "delimiter": "auto"})
    reading = Reading.of(data, terminal.line)
    records = read_input(source, format, reading)
    corpus = None if index is None else read_records(index, reading=reading)
    quiet_tensorflow(verbose)
    from kerasft.distribution.threads import share_threads
    from kerasft.inference.batches import AT_ONCE, answer_lines, searched_answers, with_fused_layers
    from kerasft.inference.local import LocalPredictor
    from kerasft.training.layers.precision import bfloat16_products, rewrites

    waits = task.writes or (source == "-" and not sys.stdin.seekable())  # a pipe, whose other end may wait
    share_threads(1 if waits else AT_ONCE)

    predictor = LocalPredictor(with_fused_layers(opened.load(), rewrites(precision), terminal.line))
    if stored is not None:
        write_by_stored(stored, predictor.answerer, terminal.line)
    with bfloat16_products(rewrites(precision)):
        answers = predictor.answer_batch
        if corpus is not None:
            answers = searched_answers(predictor, corpus, batch_size, top, terminal)
        for line in answer_lines(predictor, records, answers, batch_size, waits):
            terminal.result(line)
    return 0


def predict_by_row(
    export: AdaptersExport, source: str, format: str, batch_size: int, verbose: bool, precision: str
) -> int:
    """Streams rows that each name their adapter, a batch at a time."""
    if precision != PRECISIONS[0]:
        raise UserError(f"--precision: {export.folder} is an export, which stays as it is; leave it out")
    terminal = Terminal(verbose)
    records = read_input(source, format, Reading(remark=terminal.line))
    quiet_tensorflow(verbose)
    from kerasft.inference.adapters import AdaptersPredictor

    predictor = AdaptersPredictor(export.load())
    while batch := list(islice(records, batch_size)):
        for answer in predictor.answer_records(batch):
            terminal.result(json.dumps(answer, ensure_ascii=False))
    return 0


def predict_remote(connect: Callable[[], Remote], source: str, format: str, batch_size: int, verbose: bool) -> int:
    """Streams through a server: a few batches are under way while the next are read."""
    if batch_size < 1:
        raise UserError(f"--batch-size: {batch_size} is too few; use 1 or more")
    terminal = Terminal(verbose)
    records = read_input(source, format, Reading(remark=terminal.line))
    quiet_tensorflow(verbose)
    with connect() as remote:
        for answer in remote.answers(records, batch_size):
            terminal.result(json.dumps(answer, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
