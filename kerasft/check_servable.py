"""`python -m kerasft.check_servable DIR`: would TensorFlow Serving load this SavedModel, and what would it refuse?

It is read, and not run unless --run: a SavedModel is a program of whoever made it.

Exit code 0: it can be served; 1: it cannot, a line for each reason; 2: no SavedModel there, or an unknown release.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, one_line, quiet_tensorflow, run_program
from kerasft.inference.export import find_version
from kerasft.serving.serving_versions import NEWEST, lacking_ops


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("check-servable", __doc__, "saved_models/NAME")
    parser.add_argument(
        "saved_model", type=Path, metavar="DIR", help="saved_models/NAME, its newest version, or NAME/1"
    )
    parser.add_argument("--tf-serving", default=NEWEST, metavar="RELEASE", help=f"of the server; default: {NEWEST}")
    parser.add_argument("--run", action="store_true", help="load it too, and run its warm-up requests: it is a program")
    parser.add_argument("--trust", action="store_true", help="allow that it reaches files, networks or processes")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(
        lambda: check_servable(args.saved_model, args.tf_serving, args.verbose, run=args.run, trust=args.trust)
    )


def check_servable(saved_model: Path, release: str, verbose: bool, run: bool = False, trust: bool = False) -> int:
    """Checks a version folder, or the newest version of a folder of them; the exit code."""
    lacking, saved_model = lacking_ops(release), find_version(saved_model)
    quiet_tensorflow(verbose)
    from kerasft.serving.inspection import inspect

    findings = inspect(saved_model, lacking, run, trust)
    terminal = Terminal(verbose)
    for remark in findings.remarks:
        terminal.line(one_line(f"{saved_model}: {remark}"))
    for fault in findings.faults:
        terminal.line(one_line(f"error: {saved_model}: {fault}"))
    if not findings.faults:
        terminal.result(f"{saved_model}: TensorFlow Serving {release} can load it; {findings.summary}")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
