"""`kerasft audit --mitigate`: the same run once more with `data.mitigate`, and both beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasft.audit.figures import NO_GRADIENTS, Figures, without
from kerasft.audit.mitigated_run import begun_run, mitigated_config
from kerasft.audit.people import by_groups
from kerasft.audit.subject import Subject
from kerasft.data.splits import stage_splits
from kerasft.evaluation.robustness.measure import compared
from kerasft.inference.batches import with_fused_layers
from kerasft.inference.local import LocalPredictor
from kerasft.runs import Run
from kerasft.session import train_run
from kerasft.tasks.registry import create_task

GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")


def mitigation(subject: Subject) -> Figures:
    """What the mitigation changes: how right answers are, differences between groups, exchanged words."""
    settings = subject.settings
    if not settings.mitigate:
        return without("no mitigation was asked for (--mitigate)")
    if not subject.one_label:
        return without("its answers are not one label of several")
    if subject.trained is None:
        return without(NO_GRADIENTS)
    config = mitigated_config(subject.run.config, settings)
    folder = Path(config.output.dir) / config.name
    begun = begun_run(config)
    if begun is None or not (folder / "finished.json").is_file():
        subject.terminal.line(f"--mitigate: the same with {' and '.join(settings.mitigate)}, as {folder}")
        train_run(config, existing="refuse" if begun is None else "resume", terminal=subject.terminal)
    else:  # its word lists, or the group column, may be others by now
        begun.check_data(stage_splits(config, create_task(config), lambda line: None).tables)
    run = Run.open(folder)
    predictor = LocalPredictor(with_fused_layers(run.load()))
    answers = predictor.answer(subject.rows)
    before, right_before = subject.verdicts
    after, right_after = subject.judged(answers, range(len(subject.rows)))
    plain, other = by_groups(subject, subject.predictor, subject.answers), by_groups(subject, predictor, answers)
    return {
        "methods": list(settings.mitigate),
        "run": str(folder),
        "rows": (run.load_json("cleaning.json") or {}).get("counts", {}).get("mitigate", {}),
        "measure": subject.task.judged,
        "answers": compared(before, after, right_before, right_after, settings.seed),
        "exchange": {
            aspect: {name: each["exchange"][aspect]["flipped"] for name, each in (("before", plain), ("after", other))}
            for aspect in plain["exchange"]
        },
        "gaps": _gaps(plain["groups"], other["groups"]),
    }


def _gaps(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Grouping -> gap -> its largest difference of any label, before and after."""
    return {
        name: {
            gap: {when: _figure(each[name]["gaps"][gap]) for when, each in (("before", before), ("after", after))}
            for gap in GAPS
            if all(gap in each[name]["gaps"] for each in (before, after))
        }
        for name in before
    }


def _figure(gap: Mapping[str, Any]) -> dict[str, Any]:
    return {name: gap[name] for name in ("label", "value", "low", "high")}
