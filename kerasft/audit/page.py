"""`audit.html`: the figures of an audit for a person to read, and what stands out in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasft.audit.sections import SECTIONS
from kerasft.config.schema import Config
from kerasft.evaluation.report.labels import percent, score
from kerasft.evaluation.report.rendering import render, write_page

COSTLY = 0.02  # how right answers are: a change that costs more is told
FLIPPING = 0.05  # share of answers: groups that change more are told
MISCALIBRATED = 0.10
HALF = 0.5


def write_audit(path: Path, config: Config, found: dict[str, Any]) -> None:
    """Writes the page.

    Args:
        path: of the page; its folder exists.
        config: of what was audited.
        found: what audit.json holds.

    Raises:
        UserError: the page cannot be written there.
    """
    sections = [section for build in SECTIONS for section in build(found)]
    rows = found["settings"]["rows"]
    start = config.model.preset or "from scratch"
    summary = f"Audit on at most {rows:,} rows of {found['split']} · {config.task.name} · {start}"
    values = {"title": config.name, "summary": summary, "findings": found["findings"], "sections": sections}
    write_page(path, render("audit.html.j2", **values))


def findings(found: dict[str, Any]) -> list[str]:
    """One sentence for each thing that a reader should not miss."""
    return [*_robustness(found["robustness"]), *_slices(found["slices"]), *_trust(found), *_bias(found["bias"])]


def _robustness(part: dict[str, Any]) -> Iterator[str]:
    if part.get("numbers"):
        return  # what a move of so much costs depends on what the numbers are
    for name, row in part.get("changes", {}).items():
        change = row.get("change")
        if row["expected"] != "stay" or change is None:
            continue
        # Sure enough where the whole interval says that it costs something.
        if change["high"] < 0 and change["value"] < -COSTLY:
            yield (
                f"{name.replace('_', ' ').capitalize()} ({row['what']}): {part['measure']} falls by "
                f"{-change['value']:.3f} ({-change['high']:.3f} to {-change['low']:.3f}), and "
                f"{percent(row['flipped']['value'])} of the answers change."
            )


def _slices(part: dict[str, Any]) -> Iterator[str]:
    sure = [row for row in part.get("slices", ()) if row["p_adjusted"] < 0.05]
    for row in sure[:3]:
        yield (
            f"Rows with {row['kind']} {row['name']}: {part['measure']} {score(row['right']['value'])} on "
            f"{row['right']['rows']} rows, {score(row['rest'])} on the rest."
        )


def _trust(found: dict[str, Any]) -> Iterator[str]:
    error = found["calibration"].get("expected_calibration_error")
    if error is not None and error > MISCALIBRATED:
        yield f"Its scores are no probabilities (calibration error {error:.2f}); see evaluation.calibrate: temperature."
    for row in found["shortcuts"].get("shortcuts", ())[:3]:
        yield (
            f"{percent(row['flips'])} of the answers {row['label']!r} hang on the word {row['word']!r} alone: look "
            "whether that is the reason a person would give."
        )
    methods = found["faithfulness"].get("methods", {})
    chance = methods.get("random", {}).get("comprehensiveness")
    for name, row in methods.items():
        own = row.get("comprehensiveness")
        if name != "random" and own and chance and own["low"] <= chance["high"]:
            yield f"Explanations by {name.replace('_', ' ')} are not measurably better than a random order here."


def _bias(part: dict[str, Any]) -> Iterator[str]:
    for aspect, row in part.get("exchange", {}).items():
        if row["flipped"]["low"] > FLIPPING:
            flips = percent(row["flipped"]["value"])
            yield f"{flips} of the answers change where words of {aspect} are exchanged."
    for name, row in part.get("groups", {}).items():
        gap = row["gaps"].get("equalized_odds")
        if gap and gap["low"] is not None and gap["low"] > FLIPPING:
            yield (
                f"By {name}, the rates of {gap['label']!r} differ by {gap['value']:.3f} ({gap['low']:.3f} to "
                f"{gap['high']:.3f}) between groups (equalised odds)."
            )
