"""Who is let in: a bounded number of requests, of each connection too, and a bounded memory for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import TypeVar

from grpc import StatusCode

from kerasft.serving.status import ServingError

Message = TypeVar("Message")
FREE_BYTES = 64 * 1024  # of each request, which are not counted: small requests come in whatever the large ones hold
LOOK_SECONDS = 0.05  # between two looks for messages that take too long


class Shares:
    """Places that are taken while something lasts.

    Args:
        most: places that all owners have together.
        most_each: of one owner, such as a connection.
        what: plural of what has a place, for the message.
    """

    def __init__(self, most: int, most_each: int, what: str):
        self._most, self._most_each, self._what = most, most_each, what
        self._counts: Counter[str] = Counter()
        self.count = 0

    @contextlib.contextmanager
    def slot(self, owner: str) -> Iterator[None]:
        """A place for as long as the context lasts. Raises ServingError where there is none."""
        if self.count >= self._most:
            raise _overloaded(f"{self.count} {self._what} are under way")
        if self._counts[owner] >= self._most_each:
            raise _overloaded(f"{self._counts[owner]} {self._what} of this connection are under way")
        self.count += 1
        self._counts[owner] += 1
        try:
            yield
        finally:
            self.count -= 1
            self._counts[owner] -= 1
            if not self._counts[owner]:
                del self._counts[owner]


class Memory:
    """Bytes that requests hold, of all together; the first FREE_BYTES of each are not counted.

    Args:
        most: bytes.
    """

    def __init__(self, most: int):
        self._most = most
        self.used = 0

    @contextlib.contextmanager
    def account(self) -> Iterator[Account]:
        """What one request holds; given back when the context ends."""
        account = Account(self)
        try:
            yield account
        finally:
            self.used -= account.counted

    def take(self, size: int) -> None:
        """Raises ServingError where there is no room."""
        if self.used + size > self._most:
            raise _overloaded(f"requests hold {self.used} bytes")
        self.used += size


class Account:
    """What one request holds of a memory."""

    def __init__(self, memory: Memory):
        self._memory = memory
        self._size = self.counted = 0

    def add(self, size: int) -> None:
        """So many bytes more. Raises ServingError where all together hold too much."""
        self._size += size
        if (more := self._size - FREE_BYTES - self.counted) > 0:
            self._memory.take(more)
            self.counted += more


class Turns:
    """Places for messages that are coming in, which nobody can count before they are there.

    Where all are taken and others wait, the message that has taken longest goes.

    Args:
        most: messages at a time.
        patience: seconds that each may take nevertheless.
    """

    def __init__(self, most: int, patience: float):
        self._patience = patience
        self._free = asyncio.Semaphore(most)
        self._waiting = 0
        self._coming: dict[asyncio.Task, float] = {}  # since when, the oldest first
        self._watching: asyncio.Task[None] | None = None

    async def take(self, message: Coroutine[None, None, Message], seconds: float) -> Message:
        """What a coroutine of a message returns.

        Raises:
            ServingError: it took more than these seconds, or others had waited for its place.
        """
        loop = asyncio.get_running_loop()
        coming = loop.create_task(self._in_turn(message))
        try:
            await asyncio.wait({coming}, timeout=seconds)
            if coming.cancelled():
                raise _overloaded("the message came too slowly while others waited")
            if not coming.done():
                raise ServingError(StatusCode.DEADLINE_EXCEEDED, f"the message did not come within {seconds:g} s")
            return coming.result()
        finally:
            coming.cancel()

    async def _in_turn(self, message: Coroutine[None, None, Message]) -> Message:
        self._waiting += 1
        if self._free.locked() and self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._send_away())
        try:
            await self._free.acquire()
        except BaseException:
            message.close()
            raise
        finally:
            self._waiting -= 1
        task = asyncio.current_task()
        assert task is not None
        self._coming[task] = asyncio.get_running_loop().time()
        try:
            return await message
        finally:
            del self._coming[task]
            self._free.release()

    async def _send_away(self) -> None:
        """While somebody waits: the slowest go."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            for task, since in list(self._coming.items())[: self._waiting]:
                if loop.time() - since >= self._patience:
                    task.cancel()
            await asyncio.sleep(LOOK_SECONDS)
        self._watching = None


def _overloaded(reason: str) -> ServingError:
    return ServingError(StatusCode.RESOURCE_EXHAUSTED, f"overloaded: {reason}; try again later")
