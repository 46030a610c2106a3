"""The alerts of a server whose requests drift (`kerasft serve --drift-webhook`), as what starts learning."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

from kerasft.errors import UserError

MOST_BYTES = 1 << 16  # of an alert
SECONDS = 10.0  # that a client may take to send one


class Alerts:
    """Whether a model's drift was reported since the last `clear`.

    Args:
        model: name of the served model; alerts of others are answered, and change nothing.
    """

    def __init__(self, model: str):
        self.model, self.raised = model, threading.Event()

    def clear(self) -> None:
        """All that there is was learnt."""
        self.raised.clear()

    @contextlib.contextmanager
    def listening(self, port: int) -> Iterator[int]:
        """Takes alerts at http://127.0.0.1:PORT/ inside; gives the port.

        Raises:
            UserError: the port is taken.
        """
        alerts = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = SECONDS

            def do_POST(self) -> None:
                self.send_response(204 if alerts.read(self) else 400)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """The terminal is for people."""

        try:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise UserError(f"--on-alert: port {port} can't be used ({error.strerror}); name a free one") from error
        thread = threading.Thread(target=server.serve_forever, name="alerts", daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.server_close()

    def read(self, request: http.server.BaseHTTPRequestHandler) -> bool:
        """Whether a request is an alert; one of the model is remembered."""
        try:
            size = int(request.headers.get("Content-Length", ""))
            alert = json.loads(request.rfile.read(size)) if 0 <= size <= MOST_BYTES else None
        except (ValueError, OSError):
            return False
        if not isinstance(alert, dict) or alert.get("event") != "drift":
            return False
        if alert.get("model") == self.model:
            self.raised.set()
        return True
