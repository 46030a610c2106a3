"""Work of a request that would keep the event loop: it is done in a thread, one large piece at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from grpc import StatusCode

from kerasft.serving.server.memory import give_back
from kerasft.serving.status import ServingError

Result = TypeVar("Result")
SMALL = 16 * 1024  # bytes that are worked on at once, in the loop: about a millisecond
LARGE = 512 * 1024  # bytes from which work may hold Python's lock for long: json and protobuf do not give it up
PLAIN = LARGE - 1  # said of much work that gives up Python's lock in between
MODEL_THREADS = 2
REST_SECONDS = 0.05  # after such work, in which the loop and everybody else comes to his turn


class Offload:
    """Two threads: one for large pieces of work, so that no two of them follow each other at once, one for others.

    What runs models of its own, such as a filter that is a classifier, has further threads, so that no request that
    needs none waits behind it.
    """

    def __init__(self):
        self._threads = {large: ThreadPoolExecutor(1, thread_name_prefix="request") for large in (False, True)}
        self._models = ThreadPoolExecutor(MODEL_THREADS, thread_name_prefix="filters")

    async def run(self, size: int, deadline: float, work: Callable[..., Result], *args) -> Result:
        """The result of `work(*args)`.

        Args:
            size: about how many bytes it goes through.
            deadline: by the event loop's clock.

        Raises:
            ServingError: the deadline passed first.
        """
        if size <= SMALL:
            return work(*args)
        call = _with_rest if size >= LARGE else _plainly
        return await _by(deadline, self._threads[size >= LARGE], call, work, args)

    async def run_models(self, deadline: float, work: Callable[..., Result], *args) -> Result:
        """The result of `work(*args)`, which runs models. Raises ServingError: the deadline passed first."""
        return await _by(deadline, self._models, work, *args)

    def close(self) -> None:
        """Ends the threads once what they do is done."""
        for each in (*self._threads.values(), self._models):
            each.shutdown(wait=True, cancel_futures=True)


async def _by(deadline: float, threads: ThreadPoolExecutor, work: Callable[..., Result], *args) -> Result:
    """The result of work in a thread. Raises ServingError: the deadline passed first."""
    loop = asyncio.get_running_loop()
    try:
        doing = loop.run_in_executor(threads, work, *args)
        return await asyncio.wait_for(doing, max(0.0, deadline - loop.time()))
    except asyncio.TimeoutError:
        raise late() from None


def late() -> ServingError:
    """What a client hears whose deadline passed."""
    return ServingError(StatusCode.DEADLINE_EXCEEDED, "the deadline passed before there was an answer")


def _plainly(work: Callable[..., Result], args: tuple) -> Result:
    return work(*args)


def _with_rest(work: Callable[..., Result], args: tuple) -> Result:
    try:
        return work(*args)
    finally:
        time.sleep(REST_SECONDS)
        give_back()  # what a refused request took is free by now
