"""`python -m kerasft.export RUN [--dir DIR]`: a run's model as a SavedModel that TensorFlow Serving answers from.

RUN may also be a YAML file with a `name` and `export: {adapters: {NAME: run:DIR, ...}}`: adapters of one base.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from kerasft.config.load import load_config
from kerasft.config.output import AdaptersFile, ExportConfig
from kerasft.config.serving import ServingConfig
from kerasft.config.yaml_text import read_yaml
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.errors import UserError
from kerasft.inference.untrained import is_config
from kerasft.paths import check_folder, check_no_pattern, expand_home
from kerasft.publish import publish_adapters
from kerasft.runs import Run
from kerasft.serving.adapters.serving_model import find_sources
from kerasft.session import export_run


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("export", __doc__, "runs/NAME")
    parser.add_argument(
        "run", type=Path, help="a run directory, for example runs/reuters-r8; or a YAML file with export.adapters"
    )
    parser.add_argument("--dir", help="where exports land, as DIR/NAME/VERSION; default: export.dir of the run")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: export(args.run, args.dir, args.verbose))


def export(folder: Path, directory: str | None, verbose: bool) -> int:
    """Exports, where the folder can be written to; the exit code."""
    run = None if is_config(folder) else Run.open(folder)
    if run is None:
        name, section, serving = adapters_of(folder)
    else:
        name, section, serving = run.config.served_name, run.config.export, run.config.serving
    key = "export.dir" if directory is None else "--dir"
    try:
        target = expand_home(directory or section.dir)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from error
    check_no_pattern(target, key)
    check_folder(f"{target}/{name}", key)
    if section.adapters:
        find_sources(section.adapters)  # what is wrong with them is said before TensorFlow loads
    quiet_tensorflow(verbose)
    terminal = Terminal(verbose)
    if run is None:
        publish_adapters(name, section, terminal, target, serving=serving)
        return 0
    version = export_run(run, terminal, target)
    from kerasft.serving.formats.registry import write_formats

    write_formats(run, version.parent, terminal.result)
    return 0


def adapters_of(file: Path) -> tuple[str, ExportConfig, ServingConfig | None]:
    """`name`, `export` and `serving` of a YAML file: of a whole config, or of one that has the first two alone.

    Raises:
        UserError: it has no `export.adapters`, or can't be read.
    """
    try:
        values = read_yaml(file.read_text(encoding="utf-8"), str(file)).values
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    if isinstance(values, dict) and set(values) <= {"name", "export"}:
        try:
            alone = AdaptersFile.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        section, name, serving = alone.export, alone.name, None
    else:
        config = load_config(file)
        section, name, serving = config.export, config.served_name, config.serving
    if not section.adapters:
        raise UserError(f"{file}: it has no export.adapters; give a run, or name runs there: {{a: run:runs/a}}")
    return name, section, serving


if __name__ == "__main__":
    sys.exit(main())
