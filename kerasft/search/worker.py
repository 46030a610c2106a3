"""What a worker does: it goes on with a dead worker's trial, or begins one, until there are enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from kerasft.console.terminal import Terminal
from kerasft.errors import Interrupted, UserError, UserErrors
from kerasft.locks import held_by
from kerasft.search.folder import SearchFolder
from kerasft.search.job import COMPLETE, FAILED, INTERRUPTED, PRUNED, Ending, Job, Report
from kerasft.search.pruning import Pruning
from kerasft.search.ranges import distributions
from kerasft.search.sampling import draw, most_trials
from kerasft.search.store import OUTCOME, VALUES, WHY, Store
from kerasft.search.table import front, score_text, write_table
from kerasft.search.workers import Heartbeat, Member

STEPS = "steps"  # attribute of a trial: those of its whole schedule
FAILURES = 5  # in a row that end a search: what fails so often fails for all trials
_PAUSE = 1.0  # seconds between two looks at trials of others
_RELEASE = 60.0  # seconds for a dead worker's trial process to end, too
STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class Runner(Protocol):
    """What runs jobs: `TrialProcess`."""

    def run(self, job: Job, report: Report) -> Ending: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Goal:
    """What is made best.

    Attributes:
        headline: the task's figure.
        falls: less of it is better.
    """

    headline: str
    falls: bool


@dataclass
class Worker:
    """One worker of a search.

    Attributes:
        search: where it is.
        store: its trials.
        goal: what is made best.
        member: this worker.
        runner: runs jobs.
        terminal: shows what happens.
        most: trials, of all workers together.
        until: no trial begins after this time of `clock`; None: no limit.
        clock: seconds, monotonic.
    """

    search: SearchFolder
    store: Store
    goal: Goal
    member: Member
    runner: Runner
    terminal: Terminal
    most: int
    until: float | None = None
    clock: Callable[[], float] = time.monotonic

    def work(self) -> None:
        """Runs trials until there are enough, all of them ended.

        Raises:
            Interrupted: Ctrl-C or the machine's end; the trial has saved.
            UserError: trials fail one after the other.
        """
        failures = 0
        while True:
            trial = self._next()
            if trial is not None:
                ending = self._run(trial)
                if ending is None:
                    continue  # another worker has it
                failures = failures + 1 if ending.kind == FAILED else 0
                if failures == FAILURES:
                    raise UserError(f"{self.search.path}: {FAILURES} trials in a row failed, the last one {ending.why}")
            elif any(each.state == TrialState.RUNNING for each in self.store.trials()) and not self._is_late():
                time.sleep(_PAUSE)
            else:
                return

    def _is_late(self) -> bool:
        return self.until is not None and self.clock() >= self.until

    def _next(self) -> FrozenTrial | None:
        """A trial that is this worker's from now on; None: there is none to be had now."""
        for trial in self.store.trials():
            if trial.state == TrialState.RUNNING:
                owner = self.store.owner(trial)
                if self.member.is_dead(owner, trial) and self.store.claim(trial, self.member.name, owner):
                    self.terminal.line(f"trial {trial.number}: taken over from {owner}")
                    return trial
        if self._is_late():
            return None
        limit = most_trials(self.search.settings, self.search.settings.space or {})
        most = self.most if limit is None else min(self.most, limit)
        return self.store.begin(self.member.name, most)

    def _run(self, trial: FrozenTrial) -> Ending | None:
        """Runs a trial to its end and writes that down; None: it was taken away."""
        values = self._settled(trial)
        folder = self.search.trial_folder(trial.number)
        self._wait_for(folder)
        with Heartbeat(
            self.store, trial, self.member.name, self.search.settings.patience, self.runner.stop
        ) as heartbeat:
            ending = self._ending(trial, values)
        if heartbeat.is_lost:
            self.terminal.line(f"trial {trial.number}: another worker has it now")
            return None
        if ending.kind == INTERRUPTED:
            raise Interrupted(ending.why)
        self._write(trial, ending)
        return ending

    def _settled(self, trial: FrozenTrial) -> Mapping[str, Any]:
        """What a trial tries: drawn now, or by its worker before."""
        settings, space = self.search.settings, self.search.settings.space or {}
        if VALUES in trial.user_attrs:
            values, notes = trial.user_attrs[VALUES], {}
        else:
            before = [other for other in self.store.trials() if other.number != trial.number]
            values, notes = draw(settings, space, self.search.config.seed, trial.number, before, self.store.directions)
        self.store.settle(trial, values, distributions(space), notes)
        return values

    def _wait_for(self, folder: Any) -> None:
        """The process of a worker that was killed ends a moment after it."""
        until = time.monotonic() + _RELEASE
        while folder.exists() and held_by(folder) is not None and time.monotonic() < until:
            time.sleep(0.1)

    def _ending(self, trial: FrozenTrial, values: Mapping[str, Any]) -> Ending:
        told = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in values.items())
        self.terminal.line(f"trial {trial.number} of {self.most}: {told}")
        try:
            config = self.search.trial(trial.number, values)
        except UserErrors as error:
            return Ending(FAILED, why=f"refused: {error.messages[0]}")
        latency = "latency" in self.search.settings.objectives
        return self.runner.run(Job(config, config, self.goal.headline, latency), self._report(trial))

    def _report(self, trial: FrozenTrial) -> Report:
        def report(step: int, value: float, steps: int) -> bool:
            self.store.note(STEPS, steps)
            self.store.report(trial, step, value)
            self.terminal.line(
                f"trial {trial.number}, step {step} of {steps}: {self.goal.headline} {score_text(value)}"
            )
            return step < steps and self._ends_here(trial.number, step)

        return report

    def _ends_here(self, number: int, step: int) -> bool:
        settings, trials = self.search.settings, self.store.trials()
        curves = {each.number: each.intermediate_values for each in trials if each.intermediate_values}
        curves[number] = {at: value for at, value in curves[number].items() if at <= step}
        rule = Pruning(
            settings.chosen_pruner,
            self.goal.falls,
            settings.first_rung,
            settings.factor,
            settings.startup,
            self.store.note(STEPS, step),
        )
        return rule.ends(number, step, curves, [each.number for each in trials if each.state == TrialState.COMPLETE])

    def _write(self, trial: FrozenTrial, ending: Ending) -> None:
        """The end of a trial, in the store first: what follows is done again if need be."""
        values = None
        if ending.kind == COMPLETE:
            figures = {"headline": ending.figures["value"], **ending.figures}
            if figures["headline"] is None:
                ending = Ending(FAILED, why=f"refused: validation has no {self.goal.headline}")
            else:
                self._check_data(ending.figures["data"])
                values = [float(figures[name]) for name in self.search.settings.objectives]
        notes: dict[str, Any] = {WHY: ending.why} if ending.why else {}
        if ending.figures:
            notes[OUTCOME] = {key: value for key, value in ending.figures.items() if key != "data"}
        self.store.finish(trial, STATES[ending.kind], values, **notes)
        told = (
            ending.kind
            if values is None
            else ", ".join(
                f"{self.goal.headline if name == 'headline' else name} {score_text(value)}"
                for name, value in zip(self.search.settings.objectives, values)
            )
        )
        self.terminal.line(f"trial {trial.number}: {told}" + (f"; {ending.why}" if ending.why else ""))
        trials = self.store.trials()
        best = {each.number for each in front(trials, self.store.directions)}
        for each in trials:
            if each.state.is_finished():
                self.search.tidy(each.number, with_model=each.number not in best)
        write_table(self.search, self.store)

    def _check_data(self, data: Mapping[str, str]) -> None:
        """Raises UserError where a trial was measured on other rows than those before it."""
        searched = any(key.startswith("data.") for key in self.search.settings.space or {})
        mine = {split: digest for split, digest in data.items() if split == "validation" or not searched}
        before = self.store.note("data", mine)
        changed = [split for split, digest in mine.items() if before.get(split) != digest]
        if changed:
            raise UserError(
                f"data.{changed[0]}: the rows are not those that {self.search.path} began with; bring them back, or "
                "begin a new search with another name=..."
            )
