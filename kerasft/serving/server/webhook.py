"""Tells another system of an alert: a POST of JSON, by a thread of its own, so that a dead hook holds up nobody."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from kerasft.errors import UserError

MOST_WAITING = 16
PAUSES = (1.0, 5.0, 30.0)  # seconds before another attempt
TIMEOUT_SECONDS = 5.0
Report = Callable[[str], None]


def check_url(url: str) -> str:
    """The URL of a hook, from the operator. Raises UserError unless it is http:// or https:// with a host."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        valid = False
    if not valid or not url.isprintable() or " " in url:
        raise UserError("--drift-webhook: not an address; give http://HOST/... or https://HOST/...")
    return url


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A hook is where the operator said; a redirect is an answer like any other that is not 2xx."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


class Webhook:
    """Posts alerts, one after the other.

    Args:
        url: see `check_url`; it is never logged, for it may hold a secret.
        report: is called in the hook's thread with "delivered", "failed" or, where too many wait, "dropped".
        pauses: seconds before each further attempt.
        timeout: seconds of an attempt.
    """

    def __init__(self, url: str, report: Report, pauses: tuple[float, ...] = PAUSES, timeout: float = TIMEOUT_SECONDS):
        self._url, self._report, self._pauses, self._timeout = check_url(url), report, pauses, timeout
        self._waiting: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
        self._ending = threading.Event()
        self._opener = urllib.request.build_opener(_NoRedirects)
        # A daemon: the program ends although a hook does not answer.
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    def post(self, alert: Mapping[str, Any]) -> None:
        """Leaves an alert to the thread; returns at once."""
        try:
            self._waiting.put_nowait(json.dumps(alert).encode())
        except queue.Full:
            self._report("dropped")

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                body = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            self._report("delivered" if self._deliver(body) else "failed")

    def _deliver(self, body: bytes) -> bool:
        for pause in (*self._pauses, None):
            request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"}, method="POST")
            try:
                with self._opener.open(request, timeout=self._timeout):
                    return True  # an answer that is not 2xx is an HTTPError
            except urllib.error.HTTPError as error:
                error.close()
            except (OSError, http.client.HTTPException):
                pass  # refused, too late, or no HTTP: told once all attempts are over
            if pause is None or self._ending.wait(pause):
                return False
        return False

    def close(self, seconds: float = 2.0) -> None:
        """Ends the thread, if need be in the middle of an attempt."""
        self._ending.set()
        self._thread.join(seconds)
