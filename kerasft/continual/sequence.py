"""A whole sequence from one config: `continual` plans its stages, and each is a run that goes on from the last."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.config.differences import check_same_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.continual.methods.registry import check_method
from kerasft.continual.stage_run import StageJob, changed, run_stage
from kerasft.continual.stages import StagePlan, plan_stages
from kerasft.data.tables.digests import fingerprints
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.session import Existing, Outcome
from kerasft.tasks.registry import create_task

STAGES = "stages"  # NAME-stages: the folder of all runs of a sequence but the last
# Figures of a stage that say how it came about; a baseline's section has its scores alone.
_OF_THE_RUN = ("method", "stages", "lineage")


@dataclass(frozen=True)
class _Runner:
    """What all runs of a sequence share."""

    config: Config
    plan: StagePlan
    existing: Existing
    terminal: Terminal

    @property
    def folder(self) -> Path:
        """Of all runs but the last."""
        return Path(self.config.output.dir) / f"{self.config.name}-{STAGES}"

    def stages_of(self, method: Mapping[str, Any], prefix: str, sections: Mapping[str, Any] | None) -> Outcome:
        """Trains all stages by a method; those that are finished are taken as they are where the sequence goes on.

        Args:
            method: the section `continual`.
            prefix: of the runs' names.
            sections: further figures of the last stage, which is then the run that the config names; None: it is one
                of a baseline.
        """
        matrix: list[list[float]] = []
        parent, outcome = None, None
        for number in range(len(self.plan)):
            last = number == len(self.plan) - 1 and sections is not None
            config = changed(
                self.config, {"continual": method} | ({} if last else self.inside(f"{prefix}-{number + 1}"))
            )
            outcome = self.run(self.job(config, number, matrix, parent, (sections or {}) if last else {}))
            matrix = outcome.metrics["continual"]["matrix"]
            parent = outcome.run
        assert outcome is not None  # a plan has two stages or more
        return outcome

    def job(
        self,
        config: Config,
        number: int,
        matrix: list[list[float]],
        parent: Run | None,
        sections: Mapping[str, Any],
    ) -> StageJob:
        """What is to be learnt in the stage of a number, from 0."""
        plan, sofar = self.plan, range(number + 1)
        held_out = {split: plan.rows(split, sofar) for split in plan.tables if split != "train"}
        return StageJob(
            config=config,
            labels=plan.labels[number],
            tables={"train": plan.rows("train", range(number, number + 1)), **held_out},
            stages=[f"stage {stage + 1}" for stage in sofar],
            groups=plan.groups(number),
            matrix=matrix,
            parent=parent,
            parent_train=plan.rows("train", range(number)) if number else None,
            sections=sections,
            root=config.name == self.config.name,
            own=fingerprints(plan.tables) if config.name == self.config.name else {},
        )

    def joint(self) -> dict[str, Any]:
        """The figures of one training on the rows of all stages at once."""
        plan = self.plan
        config = changed(self.config, {"continual": {"method": "joint"}} | self.inside("joint"))
        count = len(plan)
        job = StageJob(
            config=config,
            labels=plan.labels[-1],
            tables=plan.tables,
            stages=[f"stage {stage + 1}" for stage in range(count)],
            groups=plan.groups(count - 1),
            matrix=[[]] * (count - 1),  # nothing is measured before all is learnt
        )
        return _scores(self.run(job).metrics)

    def inside(self, name: str) -> dict[str, Any]:
        """Keys of the config of a run that is not the last."""
        return {"name": name, "output.dir": str(self.folder), "export.enabled": False}

    def run(self, job: StageJob) -> Outcome:
        """Trains a stage, goes on with it, or takes it as it is where it is finished."""
        folder = Path(job.config.output.dir) / job.config.name
        if self.existing == "resume" and (folder / "finished.json").is_file():
            run = Run.open(folder)
            _check_same(run, job)
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
            self.terminal.line(f"{folder}: finished before, and taken as it is")
            return Outcome(run, metrics, folder / "model", None)
        return run_stage(job, self.existing, self.terminal)


def run_sequence(config: Config, existing: Existing = "refuse", terminal: Terminal | None = None) -> Outcome:
    """Trains a config's sequence of stages, and its baselines before them.

    The runs lie in NAME-stages/ beside the last stage's run, which has the config's name, is exported, and has the
    figures of all in `continual` of its metrics.json.

    Args:
        config: with a section `continual`.
        existing: what becomes of runs of these names.
        terminal: shows progress; None: stderr and stdout.

    Raises:
        UserError: for a mistake that the user can fix, before the first stage where it can be found by then.
        Interrupted: with what goes on with the sequence.
    """
    terminal = terminal or Terminal()
    section = config.continual
    assert section is not None
    check_method(config)
    create_task(config).check_config()
    Run.plan(config, existing == "overwrite", existing == "resume")  # told before the stages that precede it
    plan = plan_stages(config, terminal)
    runner = _Runner(config, plan, existing, terminal)
    sizes = ", ".join(str(len(plan.rows("train", range(i, i + 1)))) for i in range(len(plan)))
    classes = [len(labels) for labels in plan.labels]
    if section.baselines and len(plan) == 1:
        raise UserError(
            "continual.baselines: true compares sequences of stages, and this is one stage; set continual.stages or "
            "classes, or baselines: false"
        )
    if len(plan) > 1:
        terminal.line(
            f"continual: {len(plan)} stages with {sizes} rows; classes after each: {', '.join(map(str, classes))}"
        )
    own = section.model_dump(mode="json")
    sections: dict[str, Any] = {}
    if section.baselines:
        sections["joint"] = runner.joint()
        if section.method != "none":  # which is that baseline itself
            sections["sequential"] = _scores(runner.stages_of({"method": "none"}, "sequential", None).metrics)
    outcome = runner.stages_of(own, "stage", sections)
    gc.collect()  # TensorFlow complains of an iterator that is still there when the process ends
    return outcome


def _check_same(run: Run, job: StageJob) -> None:
    """Raises UserError where a finished stage was trained by another config, or on other rows."""
    ignored = ("task", "model", "training.precision")  # what a method and the stage before set
    before, now = run.config.model_dump(mode="json"), job.config.model_dump(mode="json")
    for key in ignored:
        section, _, name = key.partition(".")
        if name:
            now[section][name] = before[section][name]
        else:
            now[section] = before[section]
    check_same_config(before, Config.model_validate(now), run.folder)
    digests, held_out = run.load_json("data.json"), {k: v for k, v in fingerprints(job.tables).items() if k != "train"}
    if any(digests.get(split) != digest for split, digest in held_out.items()):
        raise UserError(f"data: the rows are not those that {run.folder} began with; start again with --overwrite")


def _scores(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics["continual"].items() if name not in _OF_THE_RUN}
