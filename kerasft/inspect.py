"""`python -m kerasft.inspect CONFIG`: what is wrong with the data of a config, before anything is trained on it.

Exit code: 0 nothing of the level `inspect.fail_on`, 1 something, 2 a mistake to fix.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.config.header import name_data_source
from kerasft.config.load import load_config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.data.quality.base import LEVELS, Finding
from kerasft.data.quality.inspection import at_or_above, checks_of, findings
from kerasft.data.whole import read_inspected
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task

PLACES = 3  # of a finding, on the console


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("inspect", __doc__, "my.yaml --html data.html", suggest_key)
    parser.add_argument("config", help="a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example inspect.fail_on=error")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the rows behind each count")
    args = parser.parse_intermixed_args(argv)
    return run_program(lambda: inspect(**vars(args)))


def inspect(config: str, overrides: Sequence[str], as_json: bool, html: Path | None) -> int:
    """Says what it found; the exit code."""
    terminal = Terminal()
    resolved = load_config(config, overrides)
    if html is not None and not html.absolute().parent.is_dir():
        raise UserError(f"--html: {html.parent} is no folder; make it, or name another")
    task = create_task(resolved)
    task.check_config()
    checks = checks_of(task.checks)
    with name_data_source(config):
        data = read_inspected(resolved, task, checks, terminal.line)
    results = findings(data, checks)
    if html is not None:
        from kerasft.evaluation.report.inspection_page import write_inspection

        write_inspection(html, resolved.name, results)
    if as_json:
        terminal.result(json.dumps([finding.as_json() for finding in results], indent=2, ensure_ascii=False))
    else:
        for finding in results:
            terminal.result(line(finding))
        if html is not None:
            terminal.file("page", html)
        counts = ", ".join(
            f"{sum(each.level == level for each in results)} of level {level}" for level in reversed(LEVELS)
        )
        terminal.line(f"{resolved.name}: {counts}; lengths in tokens need the preset: the report of a run has them")
    return 1 if at_or_above(results, resolved.inspect.fail_on) else 0


def line(finding: Finding) -> str:
    """A finding on one line: level, split, kind, what, first places, and what fixes it."""
    wheres = [row.where for row in finding.rows[:PLACES]]
    more = ", ..." if finding.count > PLACES and wheres else ""
    parts = [finding.what, ", ".join(wheres) + more if wheres and wheres[0] not in finding.what else "", finding.fix]
    what = "; ".join(part for part in parts if part)
    return f"{finding.level:<8}{finding.split:<11}{finding.kind}: " + " ".join(what.split())


if __name__ == "__main__":
    sys.exit(main())
