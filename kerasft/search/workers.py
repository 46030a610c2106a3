"""Who works on a search: each worker has a name and signs of life, and a dead one's trials are taken over."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from optuna.trial import FrozenTrial

from kerasft.locks import FolderLock, NoLocks, held_by
from kerasft.search.store import BEAT, Store


class Member:
    """This worker.

    On one machine the kernel says whether another lives: it holds a lock in the search's folder. From another machine
    a worker is seen by its beats alone.

    Args:
        folder: of the search.
        patience: seconds without a beat after which a worker of another machine is dead.
        clock: seconds, monotonic.
    """

    def __init__(self, folder: Path, patience: float, clock: Callable[[], float] = time.monotonic):
        status = folder.stat()  # two machines of one name, such as containers, have two disks
        self.place = f"{socket.gethostname()}:{status.st_dev}-{status.st_ino}"
        self.name = f"{self.place}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.folder, self.patience, self.clock = folder / "workers", patience, clock
        self._seen: dict[tuple[int, str], tuple[int, float]] = {}
        self._lock: FolderLock | None = None

    def __enter__(self) -> Member:
        own = self._folder_of(self.name)
        own.mkdir(parents=True)
        try:
            self._lock = FolderLock(own)
        except NoLocks:
            own.rmdir()  # others would take it for that of a dead one; beats tell
        return self

    def __exit__(self, *failed: object) -> None:
        own = self._folder_of(self.name)
        if self._lock is not None:
            self._lock.release(own)
            own.rmdir()

    def is_dead(self, owner: str, trial: FrozenTrial) -> bool:
        """Whether the owner of a trial that runs is gone."""
        if owner == self.name:
            return False
        own = self._folder_of(owner)
        if owner.rsplit(":", 2)[0] == self.place and self._lock is not None:
            # Without its folder it left in good order, and its trial unfinished.
            return not own.is_dir() or held_by(own) is None
        beat, now = trial.user_attrs.get(BEAT, 0), self.clock()
        before = self._seen.get((trial.number, owner))
        if before is None or before[0] != beat:
            self._seen[trial.number, owner] = (beat, now)
            return False
        return now - before[1] > self.patience

    def _folder_of(self, owner: str) -> Path:
        return self.folder / owner.rpartition(":")[2]


class Heartbeat:
    """Signs of life of a trial while it runs, from a thread: a context.

    Args:
        store: gets them.
        trial: that runs.
        owner: this worker.
        patience: a beat comes four times in it.
        lost: called once, from the thread, if another worker has taken the trial over.
    """

    def __init__(self, store: Store, trial: FrozenTrial, owner: str, patience: float, lost: Callable[[], None]):
        self.store, self.trial, self.owner, self.pause, self.lost = store, trial, owner, patience / 4, lost
        self.is_lost, self._over = False, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *failed: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        count = int(self.trial.user_attrs.get(BEAT, 0))
        while not self._over.wait(self.pause):
            if self.store.owner(self.trial) != self.owner:
                self.is_lost = True
                self.lost()
                return
            count += 1
            self.store.beat(self.trial, count)
