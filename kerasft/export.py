"""`python -m kerasft.export RUN [--dir DIR]`: a run's model as a SavedModel that TensorFlow Serving answers from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.errors import UserError
from kerasft.inference.export import find_export
from kerasft.paths import check_folder, check_no_pattern, expand_home
from kerasft.runs import Run


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
        place = expand_home(directory or run.config.export.dir)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from error
    check_no_pattern(place, key)
    check_folder(f"{place}/{run.config.name}", key)
    quiet_tensorflow(verbose)
    export_run(run, Terminal(verbose), place)
    return 0


def export_run(run: Run, terminal: Terminal, directory: str | None = None, once: bool = False) -> Path:
    """Exports the model as it was saved, checked, and says how to serve it.

    Args:
        run: with a trained model.
        terminal: gets the commands.
        directory: instead of the config's `export.dir`.
        once: an export of this very model that is there already is enough.

    Returns:
        DIR/NAME/VERSION.

    Raises:
        ServableError: the SavedModel would not be served; nothing was written.
    """
    from kerasft.serving.bundle import FOLDER, write_bundle
    from kerasft.serving.drift.reference import FILE, KEY
    from kerasft.serving.exporter import export as export_model
    from kerasft.serving.exporter import remove_drafts
    from kerasft.serving.tf_serving import ask_command, serve_commands

    config = run.config
    trained = run.load()
    place = Path(directory or config.export.dir) / config.name
    for draft in remove_drafts(place):
        terminal.line(f"{draft}: removed; it is of an export that was killed")
    identity = run.identity()
    version = find_export(place, identity) if once else None
    if version is None:
        metadata = {"config": config.model_dump(), "state": trained.task.state, KEY: run.load_json(FILE)}
        with terminal.progress("export", 1, unit="servable") as line:
            parts = trained.task, trained.preprocessor, trained.model
            version = export_model(*parts, place, {**metadata, "run": identity})
            line.update(1)
    terminal.result(f"export: {version}")
    for file in write_bundle(place, config.name, int(version.name), trained.task.sample()):
        terminal.line(f"{place / FOLDER / file}: changed by hand, so it stays; see {file}.new beside it")
    terminal.result(f"to operate it: {place / FOLDER / 'README.md'}")
    terminal.result(serve_commands(place, config.name))
    terminal.result(f"# and to ask it\n{ask_command(config.name, trained.task.sample())}")
    return version


if __name__ == "__main__":
    sys.exit(main())
