"""One version of a served model: where it stands in its life, what it answers with, and who still uses it."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from grpc import StatusCode

from kerasft.serving.server.batching import Queue, Scheduler
from kerasft.serving.server.engines import form_files
from kerasft.serving.server.loaded_model import Arrays, LoadedModel

if TYPE_CHECKING:
    from kerasft.serving.server.guard import Guard


class State(enum.IntEnum):
    """ModelVersionStatus.State of TensorFlow Serving."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class Version:
    """One version folder.

    Args:
        name: that clients ask the model by.
        number: of the version.
        folder: that holds saved_model.pb.

    Attributes:
        error: why it ended, (code, message), or None.
        guard: its filters; None: it has none.
        sample: {input: text} such as a user would send, where the version has warm-up requests.
    """

    def __init__(self, name: str, number: int, folder: Path):
        self.name = name
        self.number = number
        self.folder = folder
        self.state = State.START
        self.error: tuple[StatusCode, str] | None = None
        self.sample: dict[str, str] = {}
        self.fingerprint = fingerprint(folder)
        self.guard: Guard | None = None
        self._model: LoadedModel | None = None
        self._queues: dict[str, Queue] = {}
        self._users = 0
        self._unused = asyncio.Event()

    @property
    def available(self) -> bool:
        return self.state is State.AVAILABLE

    @property
    def model(self) -> LoadedModel:
        """Only while the version is used."""
        assert self._model is not None
        return self._model

    def open(self, model: LoadedModel, scheduler: Scheduler) -> None:
        """From now on the version answers."""
        self._model = model
        for key in model.signatures:
            self._queues[key] = Queue(scheduler, _run(model, key), key not in model.unbatchable)
        self.state = State.AVAILABLE

    def refuse(self, reason: str) -> None:
        """It cannot be served."""
        self.state = State.END
        self.error = (StatusCode.UNKNOWN, reason)

    def close_guard(self) -> None:
        """Gives back what its filters hold."""
        if self.guard is not None:
            self.guard.close()
        self.guard = None

    async def answer(self, key: str, inputs: Mapping[str, np.ndarray], deadline: float) -> Arrays:
        """All inputs of a signature -> its outputs; see Queue.submit."""
        return await self._queues[key].submit(inputs, deadline)

    @contextlib.contextmanager
    def used(self) -> Iterator[Version]:
        """A version in use is not unloaded; it is taken up and found in one go, without an await between."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def drain(self) -> LoadedModel:
        """Answers nobody new; returns the model once nobody uses it."""
        self.state = State.UNLOADING
        while self._users:
            self._unused.clear()
            await self._unused.wait()
        model, self._model = self.model, None
        self._queues = {}
        return model


def _run(model: LoadedModel, key: str):
    return lambda inputs, seconds: model.run(key, inputs, seconds)


def fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes when any file of a version or a form beside it does: one that was refused is tried again then."""
    entries = []
    for file in [*sorted(folder.rglob("*")), *form_files(folder)]:
        with contextlib.suppress(OSError):
            status = file.stat()
            if not stat.S_ISDIR(status.st_mode):
                entries.append((os.path.relpath(file, folder), status.st_mtime_ns, status.st_size))
    return tuple(entries)


def find_versions(base_path: Path) -> dict[int, Path]:
    """The version folders of a model: {number: folder}, those with an integer for a name and a SavedModel in them."""
    if not base_path.is_dir():
        return {}
    return {
        int(entry.name): entry
        for entry in base_path.iterdir()
        if entry.name.isascii() and entry.name.isdigit() and (entry / "saved_model.pb").is_file()
    }
