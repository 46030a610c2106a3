"""Watches what the models are asked and answer, beside what they were validated on, and says when that drifts.

A request only leaves its arrays in a queue, after its answer is made; a thread counts them, at most so many rows a
second. Whatever goes wrong here stays here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kerasft.attribution.served import SIGNATURE as EXPLAIN
from kerasft.prompting.label_requests import SIGNATURE as LABELS
from kerasft.serving.drift.reference import SIGNATURE
from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.loaded_model import Arrays, bytes_of, rows_of
from kerasft.serving.server.manager import Manager
from kerasft.serving.server.metrics import Metrics
from kerasft.serving.server.versions import Version
from kerasft.serving.server.watch import MonitorLimits, Watch

MOST_WAITING = 64  # requests
MOST_BYTES = 8 * 2**20  # of their inputs and outputs
SYNC_SECONDS = 1.0  # between two looks for versions that came and went

Seen = tuple[Version, str, Arrays, Arrays, int]  # the last: bytes
Post = Callable[[dict[str, Any]], None]


class Monitor:
    """Used from the event loop.

    Args:
        manager: whose versions are watched.
        limits: see MonitorLimits.
        log: is told of alerts.
        metrics: are told of rows and alerts.
        post: takes an alert to the webhook; None: there is none.
    """

    def __init__(
        self, manager: Manager, limits: MonitorLimits, log: EventLog, metrics: Metrics, post: Post | None = None
    ):
        self._manager, self._limits, self._log, self._metrics, self._post = manager, limits, log, metrics, post
        self._watches: dict[Version, Watch] = {}
        self._alerted: dict[str, float] = {}  # model -> when, by the event loop's clock
        self._queue: asyncio.Queue[Seen] = asyncio.Queue(MOST_WAITING)
        self._bytes = 0  # of what waits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="monitor")
        self._working: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watches from now on, unless the limits say that nothing is watched."""
        if self._limits.rate:
            self._sync()
            self._working = asyncio.get_running_loop().create_task(self._work())

    def observe(self, version: Version, key: str, inputs: Arrays, outputs: Arrays) -> None:
        """Takes note of an answer, or of as much of it as there is room and time for; never raises."""
        watch = self._watches.get(version)
        if watch is None or not watch.watching or key in (SIGNATURE, EXPLAIN, LABELS):
            return
        try:
            self._enqueue(watch, version, key, inputs, outputs)
        except Exception as error:  # noqa: BLE001  a mistake of ours fails no request
            self._stop(version, watch, error)

    def _enqueue(self, watch: Watch, version: Version, key: str, inputs: Arrays, outputs: Arrays) -> None:
        rows, count = rows_of(inputs), 0
        if not self._queue.full():
            count = watch.admit(rows, asyncio.get_running_loop().time())
        if count:
            first_inputs, first_outputs = _first(inputs, rows, count), _first(outputs, rows, count)
            size = bytes_of(first_inputs) + bytes_of(first_outputs)  # of few rows: an answer may have a million values
            if self._bytes + size > MOST_BYTES:
                count = 0
            else:
                self._queue.put_nowait((version, key, first_inputs, first_outputs, size))
                self._bytes += size
        self._metrics.watched(count, rows - count)

    async def _work(self) -> None:
        while True:
            self._sync()
            with contextlib.suppress(asyncio.TimeoutError):
                version, key, inputs, outputs, size = await asyncio.wait_for(self._queue.get(), SYNC_SECONDS)
                # Python 3.10 may lose a request between its arrival and the timeout.
                self._bytes = 0 if self._queue.empty() else self._bytes - size
                await self._take(version, key, inputs, outputs)

    def _sync(self) -> None:
        available = {version for model in self._manager.models.values() for version in model.available()}
        for unloaded in self._watches.keys() - available:
            del self._watches[unloaded]
        for version in available - self._watches.keys():
            watch = self._watches[version] = Watch(version.folder, self._limits)
            about = {"model": version.name, "version": version.number, "reference_rows": watch.reference_rows}
            self._log("watching" if watch.watching else "not_watching", **about, reason=watch.reason)

    async def _take(self, version: Version, key: str, inputs: Arrays, outputs: Arrays) -> None:
        watch = self._watches.get(version)
        if watch is None or not watch.watching or not version.available:
            return
        loop = asyncio.get_running_loop()
        try:
            with version.used():
                work = (watch.measure, version.model, key, inputs, outputs)
                bins = await loop.run_in_executor(self._thread, *work)
            if watch.add(bins):
                drifts = await loop.run_in_executor(self._thread, watch.look)
                self._judge(version, watch, drifts)
        except Exception as error:  # noqa: BLE001  the others are watched on
            self._stop(version, watch, error)

    def _stop(self, version: Version, watch: Watch, error: Exception) -> None:
        watch.watching, watch.reason = False, f"it could not be watched: {type(error).__name__}"
        self._log.mistake(error, during="monitor", model=version.name, version=version.number)

    def _judge(self, version: Version, watch: Watch, drifts) -> None:
        about = {"model": version.name, "version": version.number}
        before = watch.drifted
        if not watch.judge(drifts):
            if before:
                self._log("drift_over", **about)
            return
        now = asyncio.get_running_loop().time()
        last = self._alerted.get(version.name)
        if watch.alerted or (last is not None and now - last < self._limits.cooldown):
            return
        if measures := watch.alert():
            watch.alerted = True
            self._alerted[version.name] = now
            self._metrics.alert(version.name)
            event = about | {"reference_rows": watch.reference_rows, "measures": measures}
            self._log("drift", **event)
            if self._post:
                self._post({"event": "drift"} | event)

    def describe(self) -> dict[str, dict[int, dict[str, Any]]]:
        """{model: {version: what its watch says}}."""
        descriptions: dict[str, dict[int, dict[str, Any]]] = {}
        for version, watch in sorted(self._watches.items(), key=lambda each: (each[0].name, each[0].number)):
            descriptions.setdefault(version.name, {})[version.number] = watch.describe()
        return descriptions

    async def close(self) -> None:
        """Stops; what waits is not counted."""
        if self._working:
            self._working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._working
        # The thread may be in a model that is closed next.
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)


def _first(arrays: Arrays, rows: int, count: int) -> Arrays:
    """The first rows, as arrays that keep nothing else in memory."""
    return arrays if count == rows else {name: array[:count].copy() for name, array in arrays.items()}
