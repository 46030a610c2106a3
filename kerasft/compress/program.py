"""`kerasft compress RUN method=METHOD name=NEW [key=value ...]`: a smaller run, measured beside the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.compress.registry import compress
from kerasft.config.compress import METHODS, describe_methods, read_compression
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.errors import UserError
from kerasft.session import Existing


def main(argv: Sequence[str] | None = None) -> int:
    epilog = f"Methods: {describe_methods()}."
    parser = Parser("compress", __doc__, "runs/NAME method=vocabulary name=NAME-small", epilog=epilog)
    parser.add_argument("run", type=Path, help="a trained run, for example runs/banking77")
    parser.add_argument("settings", nargs="*", metavar="key=value", help=f"method= is one of {', '.join(METHODS)}")
    parser.add_argument("--resume", action="store_true", help="go on with a run of this name that was interrupted")
    parser.add_argument("--overwrite", action="store_true", help="replace a run of this name")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: _compress(args.run, args.settings, args.resume, args.overwrite, args.verbose))


def _compress(run: Path, words: Sequence[str], resume: bool, overwrite: bool, verbose: bool) -> int:
    """The exit code."""
    if resume and overwrite:
        raise UserError("--resume and --overwrite contradict each other; keep one")
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    settings, overrides = read_compression(words)
    compress(run, settings, overrides, existing, Terminal(verbose))
    return 0


if __name__ == "__main__":
    sys.exit(main())
