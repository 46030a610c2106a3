"""`python -m kerasft.audit RUN`: when it breaks, whom it treats unequally, and whether its explanations are true.

It leaves audit.html, audit.json and MODEL_CARD.md in RUN/audit/; what an audit that was stopped has measured stays.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.audit.mitigated_run import check_mitigation
from kerasft.audit.sets import check_sets
from kerasft.audit.settings import AuditSettings
from kerasft.audit.store import PartStore
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.quality.group_words import group_words
from kerasft.data.sources.group_column import check_column, column_values
from kerasft.data.splits import check_own_split, load_splits
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.evaluation.report.card import AUDIT_FORM, CARD
from kerasft.inference.export import Export
from kerasft.inference.predictor import open_model
from kerasft.measure import read_own_split
from kerasft.paths import is_address
from kerasft.run_card import write_card, write_card_of_export
from kerasft.runs import AUDIT, Run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("audit", __doc__, "runs/NAME --group gender")
    defaults = AuditSettings()
    parser.add_argument("run", help="a run, such as runs/NAME, or an export")
    parser.add_argument("--rows", type=int, default=defaults.rows, help=f"of the split, at most ({defaults.rows})")
    parser.add_argument(
        "--explained", type=int, default=defaults.explained, help=f"rows that are explained ({defaults.explained})"
    )
    parser.add_argument(
        "--group", metavar="COLUMN", help="of the data, with a group of people; the model never sees it"
    )
    parser.add_argument("--pairs", metavar="FILE", help="sentences about two groups (CrowS-Pairs, StereoSet)")
    parser.add_argument("--questions", metavar="FILE", help="questions about people in BBQ's form")
    parser.add_argument("--words", metavar="FILE", help="word lists of groups of your own, in YAML")
    parser.add_argument(
        "--mitigate",
        nargs="+",
        metavar="METHOD",
        default=(),
        help="train once more with counterfactual rows, or with reweigh, and show both beside each other",
    )
    parser.add_argument("--split", choices=("validation", "test"), help="default: test, validation where there is none")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the draws")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: _audit(args), "what was measured is kept; the same command goes on from there")


def _audit(args: argparse.Namespace) -> int:
    if is_address(args.run):
        raise UserError(f"{args.run}: an audit takes the run itself, such as runs/NAME")
    sets = {name: getattr(args, name) for name in ("pairs", "questions", "words", "mitigate")}
    settings = AuditSettings(args.rows, args.explained, args.group, **sets, split=args.split or "test", seed=args.seed)
    audit_run(Path(args.run), settings, Terminal(args.verbose), chosen=args.split is not None)
    return 0


def audit_run(
    folder: Path, settings: AuditSettings, terminal: Terminal | None = None, chosen: bool = False
) -> dict[str, Any]:
    """Audits a run and writes its page, figures and card.

    Args:
        folder: of the run.
        settings: how much is looked at.
        terminal: shows progress; None: stderr.
        chosen: the user named the split, so that another one will not do.

    Raises:
        UserError: it is no run, its data has changed, or there is no such column.
    """
    terminal = terminal or Terminal()
    run = open_model(folder)
    if not isinstance(run, (Run, Export)):
        raise UserError(f"{folder}: an audit takes a run, such as runs/NAME, or an export, such as saved_models/NAME")
    if run.config.data.test is None and settings.split == "test" and not chosen:
        settings = dataclasses.replace(settings, split="validation")
        terminal.line(f"{folder} has no test data: validation is looked at, on which its weights were chosen")
    task, table = _task_and_rows(run, folder, settings, terminal)
    sets = [dataclasses.asdict(row) for row in check_sets(task, settings.pairs, settings.questions)]
    groups = None
    if settings.group is not None:
        check_column(run.config, settings.split, settings.group, "--group")
        if "where" in table.schema.names:
            groups = column_values(run.config, settings.split, settings.group, table.column("where"), "--group")
    place = run.folder if isinstance(run, Run) else run.folder.parent  # beside the versions of an export
    words = {name: each.groups for name, each in group_words(settings.words, None, "--words").items()}
    if settings.mitigate:
        check_mitigation(run.config, settings, task)
    version = run.folder.name if isinstance(run, Export) else None  # several are of one run
    looked_at = {"rows": table.fingerprint(), "groups": groups, "version": version}
    digest = settings.digest(run=run.identity(), sets=sets, lists=words, form=AUDIT_FORM, looked_at=looked_at)
    store = PartStore(place / AUDIT, digest)
    quiet_tensorflow(terminal.verbose)
    from kerasft.audit.parts import PARTS
    from kerasft.audit.subject import Subject

    subject: Subject | None = None
    found: dict[str, Any] = {"name": run.config.name, "run": run.identity(), "split": settings.split}
    found["form"] = AUDIT_FORM
    found["settings"] = vars(settings)
    for name, part in PARTS.items():
        figures = store.load(name)
        if figures is None:
            subject = subject or Subject(run, table, settings, terminal)
            began = time.monotonic()
            figures = part(subject) | {"took": time.monotonic() - began}
            store.save(name, figures)
        else:
            terminal.line(f"{name}: measured before")
        found[name] = figures
    return _write(run, found, place / AUDIT, store, terminal)


def _task_and_rows(run: Run | Export, folder: Path, settings: AuditSettings, terminal: Terminal) -> tuple[Task, Table]:
    """The task, and the split that is looked at. Raises UserError."""
    if isinstance(run, Run):
        task = create_task(run.config, run.load_state())
        return task, read_own_split(run, folder, task, settings.split, terminal)
    if settings.mitigate:
        raise UserError(f"--mitigate: {folder} is an export, and a mitigation trains its run again; audit the run")
    check_own_split(run.config, settings.split)
    tables = load_splits(run.config, create_task(run.config), terminal.line)
    if settings.split not in tables:
        raise UserError(f"--split {settings.split}: the config of {folder} has none; it has {', '.join(tables)}")
    terminal.line(f"{folder}: an export, of which answers alone are audited; whether data has changed, nobody knows")
    run.task.check_targets({settings.split: tables[settings.split]})
    return run.task, tables[settings.split]


def _write(
    run: Run | Export, found: dict[str, Any], folder: Path, store: PartStore, terminal: Terminal
) -> dict[str, Any]:
    from kerasft.audit.page import findings, write_audit

    found["findings"] = findings(found)
    store.finish(found)
    if isinstance(run, Run):
        write_card(run, folder, found)
    else:
        write_card_of_export(run.task, folder, found)
    write_audit(folder / "audit.html", run.config, found)
    for sentence in found["findings"]:
        terminal.line(f"finding: {sentence}")
    for what, name in (("audit", "audit.html"), ("figures", "audit.json"), ("card", CARD)):
        terminal.file(what, folder / name)
    return found
