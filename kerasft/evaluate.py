"""`python -m kerasft.evaluate RUN`: measure a trained model again, or what a config starts from before training."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.tables.splits import load_splits, read_split
from kerasft.errors import UserError
from kerasft.inference.untrained import Untrained, is_config
from kerasft.runs import Run
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("evaluate", __doc__, "runs/NAME --data more.csv", suggest_key)
    parser.add_argument("model", type=Path, help="a run, such as runs/NAME, or a config: its preset before training")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of a config, for example data.test=FILE")
    parser.add_argument("--data", help="a source like data.test, with the same columns; default: the run's own split")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="of the run's own data")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: evaluate(args.model, args.overrides, args.data, args.split, args.json, args.verbose))


def evaluate(model: Path, overrides: Sequence[str], data: str | None, split: str, as_json: bool, verbose: bool) -> int:
    terminal = Terminal(verbose)
    if overrides and not is_config(model):
        raise UserError(f"{overrides[0]}: {model} has a config of its own; overrides are for configs")
    run = Untrained.open(model, overrides) if is_config(model) else Run.open(model)
    task = create_task(run.config, run.load_state())
    if data is not None:
        table = read_split(run.config, task, data, "test")
        task.check_targets({"test": table})
    else:
        tables = load_splits(run.config, create_task(run.config))
        if split not in tables:
            raise UserError(f"--split {split}: {model} has none; it has {', '.join(tables)}, or give --data")
        table = tables[split]

    quiet_tensorflow(verbose)
    from kerasft.distribution.strategy import create_strategy
    from kerasft.evaluation.report.console import console_table
    from kerasft.results import evaluate_split
    from kerasft.training.microbatches import wanted_microbatches

    strategy = create_strategy(run.config, microbatches=wanted_microbatches(run.config, task))
    with strategy.scope():
        trained = run.load()
    prepared = task.prepare(table, trained.preprocessor)
    logits, metrics = evaluate_split(trained, prepared, strategy, terminal, split)
    if trained.task.measures_answers:
        metrics |= trained.task.answer_metrics(list(trained.task.predictions(table, prepared, logits)))
    if as_json:
        terminal.result(json.dumps(metrics, indent=2, ensure_ascii=False))
    else:
        terminal.table(console_table(metrics, task.kind))
    return 0


if __name__ == "__main__":
    sys.exit(main())
