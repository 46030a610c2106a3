"""Servers that run in this process, of tiny exports."""

import asyncio
import contextlib
import http.client
import http.server
import io
import json
import shutil
import socket
import threading
import time
from pathlib import Path

import grpc
import pytest
from support.shared import shared_folder
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tiny_models import TASKS, export_tiny

from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.options import Options
from kerasft.serving.server.server import Server


@pytest.fixture(scope="session")
def exported(tiny_preset, tmp_path_factory):
    """Returns a function: name of a task of tiny_models.py -> its folder, with version 1."""

    def export(name: str) -> Path:
        made = shared_folder(
            tmp_path_factory, f"export-{name}", lambda folder: export_tiny(tiny_preset, name, folder / name / "1")
        )
        return made / name

    return export


@pytest.fixture(scope="session")
def other_version(tiny_preset, tmp_path_factory) -> Path:
    """A version of the single-label model with other weights, to be copied."""
    made = shared_folder(
        tmp_path_factory, "other-version", lambda folder: export_tiny(tiny_preset, "single_label", folder / "2", seed=1)
    )
    return made / "2"


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


class Hook:
    """A hook on this machine that answers with some statuses in turn, the last again and again."""

    def __init__(self, *statuses):
        self.bodies, left = [], list(statuses)
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                hook.bodies.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook?token=secret"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook():
    made = []

    def make(*statuses):
        made.append(Hook(*statuses))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Target:
    """Where to ask."""

    def __init__(self, host: str, rest_port: int, grpc_port: int):
        self.address = (host, rest_port)
        self.channel = grpc.insecure_channel(f"{host}:{grpc_port}")
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def send(self, path, body=None, method=None, headers=None):
        """(status, body) of one request."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=120)) as connection:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()

    def ask(self, path, body=None, **more):
        """The JSON of an answer that must be there."""
        status, text = self.send(path, body, **more)
        assert status == 200, text
        return json.loads(text)

    def raw(self):
        return socket.create_connection(self.address, timeout=60)


@pytest.fixture(scope="session")
def target(request, exported, start):
    if address := request.config.getoption("--target", None):
        host, rest_port, grpc_port = address.split(":")
        yield Target(host, int(rest_port), int(grpc_port))
        return
    with start(*map(exported, TASKS)) as running:
        yield Target("127.0.0.1", running.server.rest_port, running.server.grpc_port)
        assert not running.told("mistake")


def pytest_addoption(parser):
    parser.addoption("--target", help="HOST:REST_PORT:GRPC_PORT of a server of tiny_models.py's exports, to conform")
