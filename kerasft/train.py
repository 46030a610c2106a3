"""`python -m kerasft.train CONFIG [key=value ...]`: from labelled text to a model that can be served."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from kerasft.augmentation_gain import train_and_measure
from kerasft.augmentation_texts import make_texts
from kerasft.callable_module import make_callable
from kerasft.config.header import name_data_source
from kerasft.config.load import ConfigLike, load_config, read_config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.distribution.cluster import find_cluster
from kerasft.errors import UserError
from kerasft.session import Existing, Outcome, train_run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("train", __doc__, "my.yaml training.epochs=1", suggest_key)
    add_arguments(parser)
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: _train(args.config, args.overrides, args.resume, args.overwrite, args.verbose))


def add_arguments(parser: Parser) -> None:
    """Those of a training, whoever starts it."""
    parser.add_argument("config", help="a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.epochs=1")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of this run, or begin")
    parser.add_argument("--overwrite", action="store_true", help="replace a run of this name")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")


def _train(config: str, overrides: Sequence[str], resume: bool, overwrite: bool, verbose: bool) -> int:
    """The exit code."""
    if resume and overwrite:
        raise UserError("--resume and --overwrite contradict each other; keep one")
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    with name_data_source(config):
        train(load_config(config, overrides), existing=existing, terminal=Terminal(verbose))
    return 0


def train(config: ConfigLike, overrides: Sequence[str] = (), **options: Any) -> Outcome:
    """Trains, measures and exports a model: what `kerasft.train` is as a function.

        import kerasft

        outcome = kerasft.train("configs/quickstart.yaml", ["training.epochs=1"])
        outcome.metrics["test"]["accuracy"]

    Args:
        config: a YAML file, the same as a dict, or a Config.
        overrides: `key=value` as on the command line.
        options: those of `kerasft.session.train_run`, such as `tables`, `actions` and `existing`.

    Raises:
        UserError: see `train_run`.
    """
    resolved = read_config(config, overrides)
    if find_cluster(resolved, os.environ) is None:  # several workers would make them several times
        terminal, keep = options.get("terminal") or Terminal(), options.get("existing") == "resume"
        make_texts(resolved, options.get("tables"), terminal, keep)
    if resolved.augment is not None and resolved.augment.measure:
        return train_and_measure(resolved, **options)
    return train_run(resolved, **options)


make_callable(__name__, train)

if __name__ == "__main__":
    sys.exit(main())
