"""Clients in threads that ask a server over HTTP, cheaply: what they cost is taken from the server."""

from __future__ import annotations

import collections
import itertools
import re
import socket
import threading
import time

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Connection:
    """One HTTP connection that stays; made anew where it broke.

    Args:
        port: on this machine.
        path: that is posted to.
    """

    def __init__(self, port: int, path: str):
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        self._socket: socket.socket | None = None

    def post(self, body: bytes) -> str:
        """The status of the answer, `none` where the connection failed before it was there."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=120)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
            return self._read()
        except OSError:
            self.close()
            return "none"

    def _read(self) -> str:
        assert self._socket is not None
        seen = b""
        while (end := seen.find(b"\r\n\r\n")) < 0:
            seen += self._receive()
        length = LENGTH.search(seen[: end + 2])
        if not length:
            raise OSError("an answer without its length")
        while len(seen) < end + 4 + int(length[1]):
            seen += self._receive()
        return seen[9:12].decode()

    def _receive(self) -> bytes:
        assert self._socket is not None
        if not (part := self._socket.recv(65536)):
            raise ConnectionResetError
        return part

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Askers:
    """Threads that ask until they are told to stop.

    Args:
        port: of the server.
        path: that is posted to.
        bodies: of the requests, in turn.
        threads: how many ask at a time.
        rate: requests/s of all together, by the clock and not by the answers; None: each asks once it is answered.

    Attributes:
        statuses: how often each status was answered, `none` where a connection failed.
        seconds: from the first request to the last answer, once they have stopped.
    """

    def __init__(self, port: int, path: str, bodies: list[bytes], threads: int, rate: float | None = None):
        self.statuses: collections.Counter[str] = collections.Counter()
        self.seconds = 0.0
        self._asked = (port, path)
        self._bodies, self._rate = bodies, rate
        self._numbers = itertools.count()  # taking the next is atomic
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._begun = 0.0
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        connection = Connection(*self._asked)
        while not self._stop.is_set():
            number = next(self._numbers)
            if self._rate and (early := self._begun + number / self._rate - time.perf_counter()) > 0:
                if self._stop.wait(early):
                    break
            status = connection.post(self._bodies[number % len(self._bodies)])
            with self._lock:
                self.statuses[status] += 1
        connection.close()

    def __enter__(self) -> Askers:
        self._begun = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failed: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.perf_counter() - self._begun
