"""The server's log: one JSON object a line on stderr, of events and never of what users wrote."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO


class EventLog:
    """Writes events.

    Args:
        stream: where to; None: stderr.
        clock: seconds since 1970.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.time):
        self._stream = stream or sys.stderr
        self._clock = clock
        self._lock = threading.Lock()

    def __call__(self, event: str, **facts: Any) -> None:
        """One event; `facts` are JSON-able."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._clock()))
        line = json.dumps({"at": f"{at}Z", "event": event, **facts}, ensure_ascii=False) + "\n"
        with self._lock:  # the webhook's thread and gRPC's write too
            self._stream.write(line)
            self._stream.flush()

    def mistake(self, error: BaseException, **facts: Any) -> None:
        """A mistake of ours: where it happened. Not its message, which may quote a request."""
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        self("mistake", kind=type(error).__name__, places=frames, **facts)


class Libraries(logging.Handler):
    """What aiohttp, asyncio and gRPC would log, whose messages and tracebacks quote requests: only a mistake's place.

    What a client had wrong is told to the client and is no event.

    Args:
        log: is told.
        theirs: exceptions that a client brings about.
    """

    LOGGERS = ("aiohttp", "asyncio", "grpc")

    def __init__(self, log: EventLog, theirs: tuple[type[BaseException], ...]):
        super().__init__(logging.WARNING)
        self._log = log
        self._theirs = theirs

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            self._log("library", name=record.name, place=f"{record.pathname}:{record.lineno}")
        elif not isinstance(error, self._theirs):
            self._log.mistake(error, name=record.name)

    def install(self) -> None:
        """From now on these loggers write nowhere else."""
        for name in self.LOGGERS:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [self], False
