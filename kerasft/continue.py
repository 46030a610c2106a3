"""`python -m kerasft.continue RUN CONFIG_OR_DATA [key=value ...]`: a trained run learns new rows and new classes.

The result is a run of its own, measured on the tests of all that it comes from. Exit code: 0 learnt, 1 not exported
because of --gate, 2 a mistake to fix.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.callable_module import make_callable
from kerasft.config.header import name_data_source
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.continual.continuing import Continuation, continue_run
from kerasft.continual.forgetting import clear_buffers, is_exact
from kerasft.continual.watching import watch
from kerasft.errors import UserError
from kerasft.inference.untrained import is_config
from kerasft.paths import check_no_pattern
from kerasft.session import Existing


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("continue", __doc__, "runs/NAME new.jsonl --gate 0.01", suggest_key)
    parser.add_argument("run", type=Path, help="a trained run")
    parser.add_argument("source", nargs="?", metavar="CONFIG_OR_DATA", help="a YAML file, or new rows")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example continual.method=replay")
    parser.add_argument("--gate", type=float, help="export only if no earlier stage's tests lose more, such as 0.01")
    parser.add_argument("--forget", metavar="ROWS", help="forget these rows instead of learning new ones")
    parser.add_argument("--join", type=Path, metavar="RUN", help="add what another run learnt (analytic, prototypes)")
    parser.add_argument("--watch", type=Path, metavar="DIR", help="learn each labelled file that comes into a folder")
    parser.add_argument("--once", action="store_true", help="with --watch: end when no file is left")
    parser.add_argument("--on-alert", type=int, metavar="PORT", help="with --watch: learn when a server reports drift")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of this run, or begin")
    parser.add_argument("--overwrite", action="store_true", help="replace a run of this name")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: _program(args, Terminal(args.verbose)))


def _program(args, terminal: Terminal) -> int:
    """The exit code."""
    check_no_pattern(args.run, "RUN")
    source, overrides = args.source, list(args.overrides)
    if source is not None and "=" in source and (args.forget or args.watch or args.join):
        source, overrides = None, [source, *overrides]
    sources = {"CONFIG_OR_DATA": source, "--forget": args.forget, "--join": args.join, "--watch": args.watch}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise UserError(
            f"kerasft continue: {' and '.join(given) if given else 'nothing'} to learn from; give one of "
            "CONFIG_OR_DATA, --forget ROWS, --join RUN, --watch DIR"
        )
    if args.gate is not None and args.gate < 0:
        raise UserError(f"--gate: {args.gate} is negative; use 0 or more, such as 0.01")
    if args.once and args.watch is None:
        raise UserError("--once: is for --watch DIR; leave it out")
    if args.on_alert is not None and (args.watch is None or args.once):
        raise UserError("--on-alert: is for --watch DIR without --once; leave one out")
    if args.on_alert is not None and not 0 <= args.on_alert < 2**16:
        raise UserError(f"--on-alert: {args.on_alert} is no port; use 1 to 65535, or 0 for a free one")
    if args.overwrite and args.watch is not None:
        raise UserError("--overwrite: --watch makes a new run of each file; leave it out")
    if args.resume and args.overwrite:
        raise UserError("--resume and --overwrite contradict each other; keep one")
    existing: Existing = "resume" if args.resume else "overwrite" if args.overwrite else "refuse"
    if args.watch is not None:
        return watch(args.run, args.watch, overrides, args.gate, args.once, terminal, args.on_alert)
    if args.forget is not None and not is_exact(args.run):
        options = {"--gate": args.gate is not None, "--overwrite": args.overwrite, "key=value": bool(overrides)}
        if without := [name for name, given in options.items() if given]:
            raise UserError(
                f"{without[0]}: --forget makes a new run only after method analytic or prototypes, and {args.run} has "
                "another; leave it out"
            )
        clear_buffers(args.run, args.forget, terminal)
        return 0
    wanted = args.forget or source or ""
    asked = Continuation(args.run, wanted, overrides, args.gate, forget=args.forget is not None, join=args.join)
    # A config says at its head where its data come from; a file of rows does not.
    with name_data_source(asked.source) if is_config(Path(asked.source)) else contextlib.nullcontext():
        _, passed = continue_run(asked, existing, terminal)
        gc.collect()  # TensorFlow complains of an iterator that is still there when the process ends
    return 0 if passed else 1


make_callable(__name__, continue_run)

if __name__ == "__main__":
    sys.exit(main())
