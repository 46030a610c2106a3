"""The card of a run, beside its exports and its audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically
from kerasft.evaluation.report.card import CARD, CARD_JSON, card_facts, model_card
from kerasft.runs import AUDIT, Run
from kerasft.tasks.registry import create_task


def write_card(run: Run, folder: Path, audit: Mapping[str, Any] | None = None) -> Path:
    """Writes a run's card to a folder, as Markdown and as JSON.

    Args:
        run: that has been measured.
        folder: of an export or of an audit.
        audit: what it found; None: what the run's newest audit found, where it had one of these very weights.
    """
    found = audit if audit is not None else run.load_json(f"{AUDIT}/audit.json")
    if found is not None and found.get("run") != run.identity():
        found = None
    files = {name: run.load_json(f"{name}.json") for name in ("metrics", "data", "cleaning")}
    facts = card_facts(run.config, create_task(run.config, run.load_state()).pipeline, files, found)
    write_atomically(folder / CARD_JSON, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    return write_atomically(folder / CARD, model_card(facts))
