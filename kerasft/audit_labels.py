"""`kerasft audit-labels CONFIG --output DIR`: which labels of train may be wrong, worst first.

Models of the config's own kind judge the rows that they did not learn from. DIR/labels-review.csv has every row with
its label and the suggested one; `data.corrections` reads it back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.auditing.audit import audit_labels
from kerasft.config.header import name_data_source
from kerasft.config.load import load_config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.errors import UserError
from kerasft.session import Existing


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("audit-labels", __doc__, "my.yaml --output audit", suggest_key)
    parser.add_argument("config", help="a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example audit.frozen=true")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--resume", action="store_true", help="go on with the folds of an audit that was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace an audit in DIR")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: _audit(**vars(args)))


def _audit(config: str, overrides: Sequence[str], output: Path, resume: bool, overwrite: bool, verbose: bool) -> int:
    """The exit code."""
    if resume and overwrite:
        raise UserError("--resume and --overwrite contradict each other; keep one")
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    with name_data_source(config):
        audit_labels(load_config(config, overrides), output, existing=existing, terminal=Terminal(verbose))
    return 0


if __name__ == "__main__":
    sys.exit(main())
