"""`python -m kerasft.train CONFIG [key=value ...]`: from labelled text to a model that can be served."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.callable_module import make_callable
from kerasft.config.header import name_data_source
from kerasft.config.load import ConfigLike, load_config, read_config
from kerasft.config.several_runs import check_one_run
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.cross_validation.comparison import changed_config
from kerasft.cross_validation.comparison import compare as compare_runs
from kerasft.cross_validation.runs import FoldsOutcome
from kerasft.errors import UserError
from kerasft.run_folder import is_run
from kerasft.session import Existing, Outcome
from kerasft.training_modes import train_config


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("train", __doc__, "my.yaml training.epochs=1", suggest_key)
    add_arguments(parser)
    parser.add_argument(
        "--compare",
        metavar="KEY=VALUE",
        help="train a second run of the same seed with this key, and give the difference with an interval",
    )
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: _train(**vars(args)))


def add_arguments(parser: Parser) -> None:
    """Those of a training, whoever starts it."""
    parser.add_argument("config", help="a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.epochs=1")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of this run, or begin")
    parser.add_argument("--overwrite", action="store_true", help="replace a run of this name")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")


def _train(
    config: str, overrides: Sequence[str], resume: bool, overwrite: bool, verbose: bool, compare: str | None
) -> int:
    """The exit code."""
    if resume and overwrite:
        raise UserError("--resume and --overwrite contradict each other; keep one")
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    with name_data_source(config):
        resolved, terminal = load_config(config, overrides), Terminal(verbose)
        if resolved.continual is not None and Path(config).name == "config.yaml" and is_run(Path(config).parent):
            raise UserError(
                f"{config}: is of a stage of continual learning; give the command that began it, with --resume"
            )
        if compare is None:
            train_config(resolved, existing=existing, terminal=terminal)
        else:
            check_one_run(resolved, "--compare")
            check_one_run(changed_config(resolved, compare), f"--compare {compare}")
            compare_runs(resolved, compare, existing=existing, terminal=terminal)
    return 0


def train(config: ConfigLike, overrides: Sequence[str] = (), **options: Any) -> Outcome | FoldsOutcome:
    """Trains, measures and exports a model: what `kerasft.train` is as a function.

        import kerasft

        outcome = kerasft.train("configs/quickstart.yaml", ["training.epochs=1"])
        outcome.metrics["test"]["accuracy"]

    Args:
        config: a YAML file, the same as a dict, or a Config.
        overrides: `key=value` as on the command line.
        options: those of `kerasft.session.train_run`, such as `tables`, `actions` and `existing`; with `data.draws`
            they are for each draw, which reads its own `tables`.

    Returns:
        The Outcome of the run. With `data.folds` there is no one run, model or export: `metrics["test"]` has the means
        over the folds, `runs` their runs.

    Raises:
        UserError: see `train_run`.
    """
    return train_config(read_config(config, overrides), **options)


make_callable(__name__, train)

if __name__ == "__main__":
    sys.exit(main())
