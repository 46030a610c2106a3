"""Where the trials of a search are kept: a journal, SQLite or PostgreSQL, by Optuna.

What a worker does to a trial is one write each, in an order in which a kill between any two leaves nothing undecided:
the trial with its owner, its values, each validation, its end. A dead worker's trial belongs to whoever claims it
first: claims are trials of a second study, whose numbers the store gives out one by one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from kerasft.errors import UserError
from kerasft.paths import file_system_of
from kerasft.search.ranges import Direction

OWNER, BEAT, VALUES, WHY, OUTCOME, SURPLUS = "owner", "beat", "values", "why", "outcome", "surplus"
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "lustre", "ceph", "glusterfs", "fuse.sshfs", "gpfs", "afs")
_DIRECTIONS = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}


class Store:
    """The trials of one search.

    Args:
        where: a file for a journal, or an URL of SQLAlchemy.
        name: of the search.
        directions: `maximize` or `minimize` of each objective.
    """

    def __init__(self, where: str, name: str, directions: Sequence[Direction]):
        optuna.logging.set_verbosity(logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.storage = _open(where)
        self.study = _study(self.storage, name, directions)
        self.claims = _study(self.storage, f"{name}:claims", ["minimize"])
        self.directions = list(directions)

    def trials(self) -> list[FrozenTrial]:
        """All but those that were begun beyond the number that was asked for."""
        found = self.storage.get_all_trials(self.study, deepcopy=False)
        return sorted((t for t in found if SURPLUS not in t.user_attrs), key=lambda trial: trial.number)

    def trial(self, number: int) -> FrozenTrial:
        """As it is now."""
        return next(trial for trial in self.trials() if trial.number == number)

    def begin(self, owner: str, most: int) -> FrozenTrial | None:
        """A new trial of this owner; None: there are `most` already."""
        if len(self.trials()) >= most:
            return None
        template = create_trial(state=TrialState.RUNNING, user_attrs={OWNER: owner})
        identity = self.storage.create_new_trial(self.study, template_trial=template)
        trial = self.storage.get_trial(identity)
        if trial.number >= most:  # another worker took the last one meanwhile
            self.storage.set_trial_user_attr(identity, SURPLUS, True)
            self.storage.set_trial_state_values(identity, TrialState.FAIL)
            return None
        return trial

    def settle(
        self,
        trial: FrozenTrial,
        values: Mapping[str, Any],
        forms: Mapping[str, BaseDistribution],
        notes: Mapping[str, Any],
    ) -> None:
        """Writes what a trial tries; again after a kill, the same."""
        identity = self._id(trial)
        for key, value in notes.items():
            self.storage.set_trial_user_attr(identity, key, value)
        self.storage.set_trial_user_attr(identity, VALUES, dict(values))
        known = self.storage.get_trial(identity).params
        for key, form in forms.items():
            if key not in known:
                self.storage.set_trial_param(identity, key, form.to_internal_repr(values[key]), form)

    def report(self, trial: FrozenTrial, step: int, value: float) -> None:
        """A validation. One that is there already must be the same.

        Raises:
            UserError: another value was reported for this step before.
        """
        known = self.storage.get_trial(self._id(trial)).intermediate_values
        if step in known:
            before = known[step]
            if before != value and not (before != before and value != value):
                raise UserError(
                    f"trial {trial.number}: step {step} has {value!r}, and before the interruption it had {before!r}: "
                    "the machine or a package is another; begin a new search"
                )
            return
        self.storage.set_trial_intermediate_value(self._id(trial), step, value)

    def finish(self, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None, **notes: Any) -> None:
        """The end of a trial."""
        for key, value in notes.items():
            self.storage.set_trial_user_attr(self._id(trial), key, value)
        if self.storage.get_trial(self._id(trial)).state == TrialState.RUNNING:
            self.storage.set_trial_state_values(self._id(trial), state, values)

    def beat(self, trial: FrozenTrial, count: int) -> None:
        """A sign of life of a trial's owner."""
        self.storage.set_trial_user_attr(self._id(trial), BEAT, count)

    def owner(self, trial: FrozenTrial) -> str:
        """Who has a trial: whoever claimed it last, or else began it."""
        claims = self._claims(trial.number)
        return claims[max(claims)] if claims else self.storage.get_trial(self._id(trial)).user_attrs[OWNER]

    def claim(self, trial: FrozenTrial, owner: str, before: str) -> bool:
        """Takes a trial over from `before`, which is dead; False: another worker did so first."""
        if self.owner(trial) != before:
            return False
        attempt = max(self._claims(trial.number), default=0) + 1
        note = {"trial": trial.number, "attempt": attempt, OWNER: owner}
        self.storage.create_new_trial(
            self.claims, template_trial=create_trial(state=TrialState.RUNNING, user_attrs=note)
        )
        return self._claims(trial.number)[attempt] == owner

    def _claims(self, number: int) -> dict[int, str]:
        """Attempt -> who claimed the trial first in it."""
        found: dict[int, str] = {}
        for claim in sorted(self.storage.get_all_trials(self.claims, deepcopy=False), key=lambda trial: trial.number):
            if claim.user_attrs["trial"] == number:
                found.setdefault(claim.user_attrs["attempt"], claim.user_attrs[OWNER])
        return found

    def note(self, key: str, value: Any) -> Any:
        """Writes a note of the search unless there is one; what is there then."""
        notes = self.storage.get_study_user_attrs(self.study)
        if key not in notes:
            self.storage.set_study_user_attr(self.study, key, value)
            return value
        return notes[key]

    def _id(self, trial: FrozenTrial) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.study, trial.number)


class KernelLock(JournalFileOpenLock):
    """A lock that the kernel gives back however its owner ends; Optuna's own outlive a kill by half a minute.

    It also cuts off the half line that a killed writer may have left, which no reader could pass.
    """

    def __init__(self, path: str):
        self.path = path

    def acquire(self) -> bool:
        self._descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        _cut_half_line(self.path)
        return True

    def release(self) -> None:
        os.close(self._descriptor)


def _cut_half_line(path: str) -> None:
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - 4096)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)


def _open(where: str) -> BaseStorage:
    if "://" not in where:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(where, KernelLock(where)))
    if where.startswith("sqlite:///"):
        file = Path(where.removeprefix("sqlite:///"))
        kind = file_system_of(file)
        if kind in _NETWORK:
            raise UserError(
                f"search.store: {file} is on a network disk ({kind}), where SQLite loses writes; take a journal "
                "(the name of a file alone) or postgresql://"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
    elif where.startswith("postgresql://"):
        where = where.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        return RDBStorage(where)
    except Exception as error:  # of SQLAlchemy or of the driver: each has classes of its own
        reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        raise UserError(f"search.store: {where.split('@')[-1]}: {reason}; name a store that can be reached") from error


def _study(storage: BaseStorage, name: str, directions: Sequence[Direction]) -> int:
    """The number of a study, made where there is none; two workers may come at once."""
    wanted = [_DIRECTIONS[direction] for direction in directions]
    with contextlib.suppress(KeyError):
        return storage.get_study_id_from_name(name)
    try:
        return storage.create_new_study(wanted, study_name=name)
    except optuna.exceptions.DuplicatedStudyError:
        return storage.get_study_id_from_name(name)
