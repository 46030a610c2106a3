"""The card of a run, beside its exports and its audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically
from kerasft.evaluation.report.card import AUDIT_FORM, CARD, CARD_JSON, card_facts, card_of_adapters, model_card
from kerasft.runs import AUDIT, Run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task


def write_card(run: Run, folder: Path, audit: Mapping[str, Any] | None = None) -> Path:
    """Writes a run's card to a folder, as Markdown and as JSON.

    Args:
        run: that has been measured.
        folder: of an export or of an audit.
        audit: what it found; None: what the run's newest audit found, where it had one of these very weights.
    """
    facts = facts_of(run, audit)
    _write(folder / CARD_JSON, facts)
    return write_atomically(folder / CARD, model_card(facts))


def write_card_of_export(task: Task, folder: Path, audit: Mapping[str, Any]) -> None:
    """Writes the card of an export whose run nobody has: its config and its audit. Arguments as of `write_card`."""
    facts = card_facts(task.config, task.pipeline, {}, audit)
    _write(folder / CARD_JSON, facts)
    write_atomically(folder / CARD, model_card(facts))


def write_card_of_adapters(name: str, runs: Mapping[str, Run], folder: Path) -> Path:
    """Writes the card of an export of several adapters, as Markdown and as JSON.

    Args:
        name: what it is served as.
        runs: adapter -> the run that it is of.
        folder: of the export.
    """
    adapters = {adapter: facts_of(run) for adapter, run in runs.items()}
    _write(folder / CARD_JSON, {"name": name, "adapters": adapters})
    return write_atomically(folder / CARD, card_of_adapters(name, adapters))


def facts_of(run: Run, audit: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the card of a run tells; arguments as those of `write_card`."""
    found = audit if audit is not None else run.load_json(f"{AUDIT}/audit.json")
    if found is not None and (found.get("run"), found.get("form")) != (run.identity(), AUDIT_FORM):
        found = None
    files = {name: run.load_json(f"{name}.json") for name in ("metrics", "data", "cleaning")}
    return card_facts(run.config, create_task(run.config, run.load_state()).pipeline, files, found)


def _write(file: Path, facts: Mapping[str, Any]) -> None:
    write_atomically(file, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
