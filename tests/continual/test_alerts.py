"""A server's alert starts learning from a watched folder."""

import json
import threading
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from kerasft.console.terminal import Silent
from kerasft.continual import watching
from kerasft.continual.alerts import Alerts
from kerasft.errors import UserError


def post(port: int, body: bytes) -> int:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code


def test_an_alert_of_the_model_is_remembered_and_nothing_else_is():
    alerts = Alerts("mine")
    with alerts.listening(0) as port:
        assert post(port, b"{") == post(port, b"[1]") == post(port, json.dumps({"event": "other"}).encode()) == 400
        assert post(port, json.dumps({"event": "drift", "model": "another"}).encode()) == 204
        assert not alerts.raised.is_set()
        assert post(port, json.dumps({"event": "drift", "model": "mine"}).encode()) == 204
        assert alerts.raised.is_set()
        with pytest.raises(UserError, match="can't be used"), Alerts("mine").listening(port):
            pass


def test_files_wait_for_an_alert(tmp_path, monkeypatch):
    (tmp_path / "new.jsonl").write_text("{}")
    run = SimpleNamespace(config=SimpleNamespace(served_name="mine"))
    seen: dict = {}

    class Told(Silent):
        def line(self, text: str) -> None:
            seen["port"] = int(text.rsplit(":", 1)[1].strip("/"))

    def alert() -> None:
        time.sleep(0.2)
        seen["alerted"] = True
        post(seen["port"], json.dumps({"event": "drift", "model": "mine"}).encode())

    def learn(file, *arguments) -> None:
        seen["file"] = file.name, "alerted" in seen
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "SECONDS", 0.05)
    monkeypatch.setattr(watching, "open_parent", lambda folder: run)
    monkeypatch.setattr(watching, "_learn", learn)
    threading.Thread(target=alert, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        watching.watch(tmp_path / "run", tmp_path, [], None, False, Told(), 0)
    assert seen["file"] == ("new.jsonl", True)
