"""`python -m kerasft.preflight CONFIG --accelerator v5e-8`: would this training fit on a TPU, before renting one?

The programs of training and evaluation are compiled for the chip, on a machine without one (the extra
`preflight`). Exit code: 0 it fits, 1 it does not, 2 a mistake to fix.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence

from kerasft.accelerators.chips import parse_accelerator
from kerasft.accelerators.compiler import check_installed
from kerasft.accelerators.report import PreflightReport
from kerasft.config.header import name_data_source
from kerasft.config.load import load_config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.models.presets.positions import fit_max_length
from kerasft.models.presets.presets import resolve_preset
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("preflight", __doc__, "my.yaml --accelerator v5e-8", suggest_key)
    parser.add_argument("config", help="a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.batch_size=256")
    parser.add_argument("--accelerator", required=True, help="v5e-8, v6e-8, v4-8, v5p-8 and other sizes")
    parser.add_argument("--price", type=float, help="of a chip for an hour: adds the least cost of the run")
    parser.add_argument("--find-batch", action="store_true", help="find the largest batch that fits, to within 1/32")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: preflight(**vars(args)))


def preflight(
    config: str,
    overrides: Sequence[str],
    accelerator: str,
    price: float | None,
    find_batch: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Says what it found; the exit code."""
    terminal = Terminal(verbose)
    resolved, target = load_config(config, overrides), parse_accelerator(accelerator)
    if price is not None and not 0 <= price < math.inf:
        raise UserError(f"--price: {price} is not a price; give that of one chip for one hour, such as 1.2")
    if problem := resolved.many_shapes():
        raise UserError(problem)
    check_installed()
    resolved = fit_max_length(resolved)
    task = create_task(resolved)
    task.check_config()
    with name_data_source(config):
        tables = load_splits(resolved, task, terminal.line)
    preset = resolve_preset(resolved.model.preset)

    quiet_tensorflow(verbose)
    from kerasft.accelerators.examine import examine
    from kerasft.accelerators.lowering import Programs
    from kerasft.training.batches import check_batch

    check_batch(resolved, target.chips, static=True)
    programs = Programs(resolved, task, tables, preset, target.chips)
    report = examine(resolved, programs, target, price, find_batch, terminal)
    show(report, as_json, terminal)
    return 0 if report.fits else 1


def show(report: PreflightReport, as_json: bool, terminal: Terminal) -> None:
    """Prints the report."""
    if as_json:
        terminal.result(json.dumps(report.as_json(), indent=2, allow_nan=False))
        return
    chip, name = report.accelerator.chip, report.accelerator.name
    verdict = "fits" if report.fits else "does not fit"
    terminal.result(f"{report.config.name} {verdict} on {name}: {report.accelerator.chips} chips, source {chip.source}")
    terminal.table(report.table())
    for line in report.lines():
        terminal.result(line)
    for advice in report.advice():
        terminal.result(f"change {advice}")


if __name__ == "__main__":
    sys.exit(main())
