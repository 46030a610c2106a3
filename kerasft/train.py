"""`python -m kerasft.train CONFIG [key=value ...]`: from labelled text to a model that can be served."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kerasft.config.load import load_config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Silent, Terminal, quiet_tensorflow, run_program
from kerasft.data.tables.splits import load_splits
from kerasft.distribution.cluster import find_cluster, speaking
from kerasft.distribution.rendezvous import meeting
from kerasft.errors import UserError
from kerasft.models.presets.presets import resolve_preset
from kerasft.runs import Run
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("train", __doc__, "my.yaml training.epochs=1", suggest_key)
    add_arguments(parser)
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: train(args.config, args.overrides, args.resume, args.overwrite, args.verbose))


def add_arguments(parser: Parser) -> None:
    """Those of a training, whoever starts it."""
    parser.add_argument("config", help="a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.epochs=1")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of this run, or begin")
    parser.add_argument("--overwrite", action="store_true", help="replace a run of this name")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")


def train(config_path: str, overrides: Sequence[str], resume: bool, overwrite: bool, verbose: bool) -> int:
    """One run, a line a stage. Everything a user can get wrong without a model is found before TensorFlow loads."""
    config = load_config(config_path, overrides)
    if resume and overwrite:
        raise UserError("--resume and --overwrite contradict each other; keep one")
    cluster = find_cluster(config, os.environ)
    terminal = Terminal(verbose) if cluster is None or cluster.chief else Silent()
    with speaking(cluster), meeting(cluster):
        run = Run.plan(config, overwrite, resume)
        task = create_task(config)
        task.check_config()
        tables = load_splits(config, task)
        preset = resolve_preset(config.model.preset)
        terminal.line(f"data: {', '.join(f'{len(table):,} {split}' for split, table in tables.items())} examples")

    quiet_tensorflow(verbose)
    from kerasft.distribution.workers import telling_losses
    from kerasft.results import finish
    from kerasft.training.fit import fit

    with speaking(cluster), run.interruptible(), telling_losses(run.folder):
        fitted = fit(run, task, tables, preset, terminal, resume, overwrite, cluster)
        finish(run, tables, fitted, terminal)
        fitted.workers.by_chief(lambda: complete(run, terminal))
        fitted.workers.part()
    return 0


def complete(run: Run, terminal: Terminal) -> None:
    """What is left once a run is trained and measured."""
    from kerasft.export import export_run

    if run.config.export.enabled:
        export_run(run, terminal, once=True)  # it may have been killed behind its export
    run.end()


if __name__ == "__main__":
    sys.exit(main())
