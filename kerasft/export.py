"""`python -m kerasft.export RUN [--dir DIR]`: a run's model as a SavedModel that TensorFlow Serving answers from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.errors import UserError
from kerasft.paths import check_folder, check_no_pattern, expand_home
from kerasft.runs import Run
from kerasft.session import export_run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("export", __doc__, "runs/NAME")
    parser.add_argument("run", type=Path, help="a run directory, for example runs/reuters-r8")
    parser.add_argument("--dir", help="where exports land, as DIR/NAME/VERSION; default: export.dir of the run")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: export(args.run, args.dir, args.verbose))


def export(folder: Path, directory: str | None, verbose: bool) -> int:
    """Exports, where the folder can be written to; the exit code."""
    run = Run.open(folder)
    key = "export.dir" if directory is None else "--dir"
    try:
        target = expand_home(directory or run.config.export.dir)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from error
    check_no_pattern(target, key)
    check_folder(f"{target}/{run.config.name}", key)
    quiet_tensorflow(verbose)
    terminal = Terminal(verbose)
    version = export_run(run, terminal, target)
    from kerasft.serving.formats.registry import write_formats

    write_formats(run, version.parent, terminal.result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
