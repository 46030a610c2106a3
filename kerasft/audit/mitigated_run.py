"""The run that a mitigation makes of a run: its config, and whether it may be trained."""

from __future__ import annotations

from pathlib import Path

from kerasft.audit.settings import AuditSettings
from kerasft.config.mitigate import MitigateConfig
from kerasft.config.schema import Config
from kerasft.config.several_runs import check_one_run
from kerasft.data.stages.mitigate import Mitigate
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.tasks.base import Task


def mitigated_config(config: Config, settings: AuditSettings) -> Config:
    """The config of the run with a mitigation: the same but for `data.mitigate` and its name; it is not exported."""
    group = settings.group if "reweigh" in settings.mitigate else None
    section = MitigateConfig.model_validate(
        {"methods": list(settings.mitigate), "words": settings.words, "group": group}
    )
    return config.model_copy(
        update={
            "name": "-".join([config.name, *settings.mitigate]),
            "data": config.data.model_copy(update={"mitigate": section}),
            "export": config.export.model_copy(update={"enabled": False}),
        }
    )


def check_mitigation(config: Config, settings: AuditSettings, task: Task) -> None:
    """Before anything is measured. Raises UserError where the run can't be trained again with a mitigation."""
    if config.data.mitigate is not None:
        raise UserError("--mitigate: the run has data.mitigate already; audit the one without it")
    check_one_run(config, "--mitigate")
    changed = mitigated_config(config, settings)
    Mitigate().check(changed, task)
    begun_run(changed)


def begun_run(config: Config) -> Run | None:
    """The run of this very config, where it is there already. Raises UserError where there is one of another."""
    folder = Path(config.output.dir) / config.name
    if not Run.is_at(folder):
        return None
    run = Run.begun(folder)
    before, now = (each.model_dump(mode="json", exclude={"model": {"max_length"}}) for each in (run.config, config))
    if before != now:
        raise UserError(f"--mitigate: {folder} is a run of another config; remove it, or give it another name")
    return run
