"""Servers that run in this process, of tiny exports."""

import asyncio
import contextlib
import http.client
import io
import json
import shutil
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tiny_models

from tiny_models import export_tiny

from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.options import Options
from kerasft.serving.server.server import Server


@pytest.fixture(scope="session")
def exported(tiny_preset, tmp_path_factory):
    """Returns a function: name of a task above -> its folder, with version 1."""
    folder = tmp_path_factory.mktemp("saved_models")

    def export(name: str) -> Path:
        if not (folder / name).exists():
            export_tiny(tiny_preset, name, folder / name / "1")
        return folder / name

    return export


@pytest.fixture(scope="session")
def other_version(tiny_preset, tmp_path_factory) -> Path:
    """A version of the single-label model with other weights, to be copied."""
    return export_tiny(tiny_preset, "single_label", tmp_path_factory.mktemp("other") / "2", seed=1)


@pytest.fixture
def model_folder(exported, tmp_path) -> Path:
    """A folder single_label of the test's own, with version 1."""
    shutil.copytree(exported("single_label"), tmp_path / "single_label")
    return tmp_path / "single_label"


class Running:
    """A server in a thread, and how to ask it."""

    def __init__(self, options: Options):
        self.options = options
        self.said = io.StringIO()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def start(self):
        async def start():
            self.server = Server(self.options, EventLog(self.said))
            try:
                await self.server.start()
            except BaseException:
                await self.server.close()
                raise

        self.run(start())

    def close(self):
        self.run(self.server.close())
        self.end()

    def until(self, true, seconds: float = 120.0):
        """Waits until `true()` is, which is looked at again and again."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.said.getvalue()
            time.sleep(0.02)

    def told(self, event: str) -> list[dict]:
        return [each for each in self.events if each["event"] == event]

    def end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.said.getvalue().splitlines()]

    def http(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.rest_port, timeout=60)

    def rest(self, path: str, body=None, method: str | None = None, headers=None):
        """(status, JSON) of one request; a body that is no bytes is written as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        with contextlib.closing(self.http()) as connection:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}")


@contextlib.contextmanager
def serving(*folders: Path, **options):
    running = Running(Options(folders=folders, rest_port=0, grpc_port=0, poll_seconds=0.05, **options))
    try:
        running.start()
    except BaseException:
        running.end()
        raise
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(scope="session")
def start():
    """`serving`, for tests: with start(folder, ...) as running."""
    return serving


@pytest.fixture(scope="session")
def running(exported):
    """A server of the single-label model."""
    with serving(exported("single_label")) as started:
        yield started


def pytest_addoption(parser):
    parser.addoption("--target", help="HOST:REST_PORT:GRPC_PORT of a server of tiny_models.py's exports, to conform")
