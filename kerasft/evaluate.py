"""`python -m kerasft.evaluate RUN`: measure a trained model again, or what a config starts from before training."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.callable_module import make_callable
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.measure import measure


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("evaluate", __doc__, "runs/NAME --data more.csv", suggest_key)
    parser.add_argument("model", type=Path, help="a run, such as runs/NAME, or a config: its preset before training")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of a config, for example data.test=FILE")
    parser.add_argument("--data", help="a source like data.test, with the same columns; default: the run's own split")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="of the run's own data")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: _evaluate(args.model, args.overrides, args.data, args.split, args.json, args.verbose))


def _evaluate(model: Path, overrides: Sequence[str], data: str | None, split: str, as_json: bool, verbose: bool) -> int:
    """The exit code."""
    terminal = Terminal(verbose)
    metrics, kind = measure(model, overrides, data=data, split=split, terminal=terminal)
    if as_json:
        terminal.result(json.dumps(metrics, indent=2, ensure_ascii=False))
    else:
        terminal.table(kind.console_table(metrics))
    return 0


def evaluate(model: str | os.PathLike[str], overrides: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    """The metrics of a trained model, or of a config's preset before training: `kerasft.evaluate` as a function.

        import kerasft

        kerasft.evaluate("runs/reuters-r8")["accuracy"]

    Args:
        model: a run's folder or a config file.
        overrides: `key=value`, of a config.
        options: `data`, `split` and `terminal` of `kerasft.measure.measure`.

    Raises:
        UserError: see `measure`.
    """
    return measure(Path(model), overrides, **options)[0]


make_callable(__name__, evaluate)

if __name__ == "__main__":
    sys.exit(main())
