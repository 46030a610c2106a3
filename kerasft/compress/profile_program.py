"""`kerasft profile RUN [--json FILE]`: bytes and time by layer, and about what each step of compression would bring."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from kerasft.atomic import write_atomically
from kerasft.compress.compression import read_tables
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.errors import UserError
from kerasft.paths import check_no_pattern
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    from kerasft.compress.profiling import Profile


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("profile", __doc__, "runs/NAME")
    parser.add_argument("run", type=Path, help="a trained run, for example runs/banking77")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: profile_run(args.run, args.json, args.verbose))


def profile_run(folder: Path, file: Path | None, verbose: bool) -> int:
    """The exit code."""
    check_no_pattern(folder, "RUN")
    if file is not None and not file.absolute().parent.is_dir():
        raise UserError(f"--json: {file.parent} is no folder; make it first")
    run, terminal = Run.open(folder), Terminal(verbose)
    if file is not None and file.is_dir():
        raise UserError(f"--json: {file} is a folder; name a file")
    tables = read_tables(run, terminal)
    quiet_tensorflow(verbose)
    from kerasft.assembly import load_model
    from kerasft.compress.profiling import profile
    from kerasft.distribution.threads import share_threads

    share_threads(1)
    task = create_task(run.config, run.load_state())
    assembled = load_model(run.folder / "model", task)
    split = "test" if "test" in tables else "validation"
    prepared = {name: task.prepare(tables[name], assembled.preprocessor) for name in {"train", split}}
    figures = profile(assembled, prepared, split)
    terminal.table(parts_table(figures))
    terminal.table(steps_table(figures))
    if file is not None:
        write_atomically(file, json.dumps(figures.as_dict(), indent=2) + "\n")
    return 0


def parts_table(profile: Profile) -> Table:
    """Bytes and milliseconds of each layer."""
    small, large = profile.milliseconds
    table = Table("", title=None)
    for name in ("parameters", "MB", "share", f"{small} text, ms", f"{large} texts, ms", "share"):
        table.add_column(name, justify="right")
    numbers = profile.bytes / 4
    total = sum(part.milliseconds[large] for part in profile.parts) or 1.0
    for part in profile.parts:
        times = (f"{part.milliseconds[size]:.2f}" for size in (small, large))
        share = f"{part.milliseconds[large] / total:.0%}"
        megabytes = f"{part.parameters * 4 / 1e6:,.2f}"
        table.add_row(part.name, f"{part.parameters:,}", megabytes, f"{part.parameters / numbers:.0%}", *times, share)
    whole = (f"{profile.milliseconds[size]:.2f}" for size in (small, large))
    table.add_row("the whole model", f"{round(numbers):,}", f"{profile.bytes / 1e6:,.2f}", "100%", *whole, "")
    return table


def steps_table(profile: Profile) -> Table:
    """What each step would bring."""
    table = Table("kerasft compress RUN", "MB", "of it", "times as fast, about", "then")
    large = max(profile.milliseconds)
    for step in profile.steps:
        faster = "as fast" if step.milliseconds is None else f"{profile.milliseconds[large] / step.milliseconds:.1f}"
        share = f"{step.bytes / profile.bytes:.2f}"
        table.add_row(step.step, f"{step.bytes / 1e6:,.1f}", share, faster, "train" if step.trains else "")
    return table


if __name__ == "__main__":
    sys.exit(main())
