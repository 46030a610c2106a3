"""Requests that come while the model is busy are answered together; those that find the queue full, at once with no.

A batch is whatever waits when a thread becomes free, so a request never waits for others that may not come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from grpc import StatusCode

from kerasft.serving.server.loaded_model import Arrays, bytes_of, concatenate, rows_of
from kerasft.serving.server.offload import late
from kerasft.serving.status import ServingError

Run = Callable[[Mapping[str, np.ndarray], float], Arrays]  # inputs, seconds after which it is stopped


@dataclass(frozen=True)
class BatchLimits:
    """Args: rows of a batch; rows and bytes of text that may wait; batches that run at the same time."""

    rows: int = 32
    queued_rows: int = 512
    queued_bytes: int = 64 * 2**20
    threads: int = 1


class Observer(Protocol):
    """What is told of each batch and of the queue's length."""

    def batch(self, rows: int, requests: int, seconds: float) -> None: ...

    def queued(self, rows: int) -> None: ...


@dataclass(eq=False)
class _Waiting:
    inputs: Mapping[str, np.ndarray]
    rows: int
    size: int
    deadline: float  # by time.monotonic, which the batch's thread can ask
    answer: asyncio.Future[Arrays]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(array.shape[1:] for array in self.inputs.values())

    @property
    def seconds(self) -> float:
        """Left; 0 where nobody waits for the answer any more."""
        return 0.0 if self.answer.done() else max(0.0, self.deadline - time.monotonic())


class Scheduler:
    """The threads that run batches, shared by all queues in turn; used from one event loop.

    Args:
        limits: how much runs and waits, of all models together.
        observer: is told what happens.
    """

    def __init__(self, limits: BatchLimits, observer: Observer):
        self.limits = limits
        self.observer = observer
        self.rows = self.size = 0  # what waits
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="batch")
        self._ready: deque[Queue] = deque()
        self._busy = 0
        self._running: set[asyncio.Task[None]] = set()

    def admit(self, rows: int, size: int) -> None:
        """Counts a request in. Raises ServingError where it would wait behind more than the limits allow."""
        limits = self.limits
        if self.rows and (self.rows + rows > limits.queued_rows or self.size + size > limits.queued_bytes):
            raise ServingError(StatusCode.RESOURCE_EXHAUSTED, f"overloaded: {self.rows} rows wait; try again later")
        self.count(rows, size)

    def count(self, rows: int, size: int) -> None:
        """Of what waits; negative where it no longer does."""
        self.rows += rows
        self.size += size
        self.observer.queued(self.rows)

    def wake(self, queue: Queue) -> None:
        """There is work in that queue."""
        if queue not in self._ready:
            self._ready.append(queue)
        self._dispatch()

    def _dispatch(self) -> None:
        while self._busy < self.limits.threads and self._ready:
            queue = self._ready.popleft()
            batch = queue.take()
            if queue.waiting:
                self._ready.append(queue)
            if batch:
                self._busy += 1
                task = asyncio.get_running_loop().create_task(self._run(queue.run, batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _run(self, run: Run, batch: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            results = await loop.run_in_executor(self._threads, _answers, run, batch)
        finally:
            self._busy -= 1
            self._dispatch()
        self.observer.batch(sum(each.rows for each in batch), len(batch), loop.time() - start)
        for each, result in zip(batch, results, strict=True):
            if each.answer.done():  # its client is gone
                continue
            if isinstance(result, BaseException):
                each.answer.set_exception(result)
            else:
                each.answer.set_result(result)

    def close(self) -> None:
        """Ends the threads once what they run is done."""
        self._threads.shutdown(wait=True)


class Queue:
    """Requests for one signature of one version.

    Args:
        scheduler: runs its batches.
        run: inputs of a signature -> outputs, in a thread.
        batched: whether requests may be put together.
    """

    def __init__(self, scheduler: Scheduler, run: Run, batched: bool):
        self.run = run
        self.waiting: deque[_Waiting] = deque()
        self._scheduler = scheduler
        self._most_rows = scheduler.limits.rows if batched else 0

    async def submit(self, inputs: Mapping[str, np.ndarray], deadline: float) -> Arrays:
        """Waits for a turn and answers.

        Args:
            inputs: all inputs of the signature, the batch first.
            deadline: by the event loop's clock.

        Raises:
            ServingError: the queue is full, the deadline passed, or the model failed.
        """
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            raise late()
        remaining = deadline - loop.time()
        each = _Waiting(inputs, rows_of(inputs), bytes_of(inputs), time.monotonic() + remaining, loop.create_future())
        self._scheduler.admit(each.rows, each.size)
        self.waiting.append(each)
        self._scheduler.wake(self)
        try:
            return await asyncio.wait_for(each.answer, deadline - loop.time())
        except asyncio.TimeoutError:
            raise late() from None
        finally:
            if each in self.waiting:  # late, or cancelled by its client
                self.waiting.remove(each)
                self._scheduler.count(-each.rows, -each.size)

    def take(self) -> list[_Waiting]:
        """The next batch: the first that waits and those behind it that fit with it."""
        batch: list[_Waiting] = []
        rows = 0
        while self.waiting:
            each = self.waiting[0]
            if batch and (rows + each.rows > self._most_rows or each.shapes != batch[0].shapes):
                break
            batch.append(self.waiting.popleft())
            rows += each.rows
        self._scheduler.count(-rows, -sum(each.size for each in batch))
        return batch


def _answers(run: Run, batch: Sequence[_Waiting]) -> list[Arrays | BaseException]:
    """An answer or an exception for each request; a request that fails does not fail those it was batched with.

    What nobody waits for any more is not run, and what runs is stopped once nobody can wait for it.
    """
    pending = [each for each in batch if each.seconds]
    if len(pending) > 1:
        try:
            outputs = run(concatenate([each.inputs for each in pending]), max(each.seconds for each in pending))
            answers = dict(zip(map(id, pending), _split(outputs, [each.rows for each in pending]), strict=True))
            return [answers.get(id(each)) or late() for each in batch]
        except Exception:  # noqa: BLE001  which of them it was shows when each runs alone
            pass
    return [_alone(run, each) for each in batch]


def _alone(run: Run, each: _Waiting) -> Arrays | BaseException:
    if not (seconds := each.seconds):
        return late()
    try:
        return run(each.inputs, seconds)
    except Exception as error:  # noqa: BLE001  it is raised where the request waits
        return error


def _split(outputs: Arrays, rows: Sequence[int]) -> list[Arrays]:
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != sum(rows):
            message = f"output '{name}' has the shape {array.shape} for a batch of {sum(rows)}"
            raise ServingError(StatusCode.INTERNAL, message)
    ends = np.cumsum(rows)
    return [
        {name: array[end - size : end] for name, array in outputs.items()} for end, size in zip(ends, rows, strict=True)
    ]
