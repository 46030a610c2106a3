"""No request, of whatever content, keeps another client waiting, and none is the server's mistake.

pytest tests/serving/server/test_attacks.py              every attack once
KERASFT_ATTACK_SECONDS=600 pytest -m long tests/serving/server/test_attacks.py    all of them, several at a time
"""

import contextlib
import gc
import http.client
import os
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import attacks
import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

LIVE = "/healthz/live"
LONGEST_SECONDS = 0.5  # that a health check may take while another client does his worst, on two idle cores
MOST_MIB = 1500  # that all attacks together may add to the memory of this process, which makes them too
SECONDS = float(os.environ.get("KERASFT_ATTACK_SECONDS", 600))
CODE = grpc.StatusCode
REFUSED = {CODE.INVALID_ARGUMENT, CODE.NOT_FOUND, CODE.PERMISSION_DENIED, CODE.FAILED_PRECONDITION, CODE.UNIMPLEMENTED}
BUSY = {CODE.DEADLINE_EXCEEDED, CODE.RESOURCE_EXHAUSTED, CODE.UNAVAILABLE}


@pytest.fixture(scope="module")
def attacked(exported, start):
    with start(exported("single_label"), exported("seq2seq"), answer_seconds=5.0) as running:
        # Graphs are traced and memory is taken by the first requests, whoever they are of.
        for name in ("single_label", "seq2seq"):
            assert running.rest(f"/v1/models/{name}:predict", {"instances": ["goal"]})[0] == 200
        gc.freeze()  # as the program does
        yield running
        gc.unfreeze()
        running.until(
            lambda: running.rest(attacks.PREDICT, {"instances": ["goal"]})[0] == 200
        )  # what runs may end late
        assert not running.told("mistake")


def post(running, path, body):
    """The status of a request, None where the connection was cut."""
    connection = http.client.HTTPConnection("127.0.0.1", running.server.rest_port, timeout=60)
    with contextlib.closing(connection), contextlib.suppress(ConnectionError):
        connection.request("POST", path, body)
        return connection.getresponse().status
    return None


def call(channel, method, body):
    """The code of a call."""
    try:
        channel.unary_unary(method)(body, timeout=60)
        return CODE.OK
    except grpc.RpcError as error:
        return error.code()


class Probe:
    """Asks for the server's health, each time on a new connection, as probes do."""

    def __init__(self, running):
        self._address = ("127.0.0.1", running.server.rest_port)
        self.longest = 0.0

    def ask(self):
        """Notes how long it took.

        Where other programs have the cores, waiting says nothing of the server: then no more counts than this process
        worked in the meantime.
        """
        start, worked = time.monotonic(), time.process_time()
        with contextlib.closing(http.client.HTTPConnection(*self._address, timeout=60)) as connection:
            connection.request("GET", LIVE)
            assert connection.getresponse().status == 200
        self.longest = max(self.longest, min(time.monotonic() - start, time.process_time() - worked))

    def ask_while(self, busy):
        while busy():
            self.ask()
            time.sleep(0.005)
        self.ask()


def attack(running, work):
    """What comes of the work, and the longest health check beside it."""
    probe = Probe(running)
    with ThreadPoolExecutor(1) as thread:
        doing = thread.submit(work)
        probe.ask_while(lambda: not doing.done())
        return doing.result(), probe.longest


@pytest.mark.parametrize("name", attacks.rest())
def test_a_request_by_rest(attacked, name):
    path, make = attacks.rest()[name]
    body = make()
    status, longest = attack(attacked, lambda: post(attacked, path, body))
    assert longest < LONGEST_SECONDS
    assert status in ((200, 504) if name in attacks.TEXTS else (400,))


@pytest.mark.parametrize("name", attacks.grpc())
def test_a_call_by_grpc(attacked, name):
    method, make = attacks.grpc()[name]
    body = make()
    with attacked.channel() as channel:
        code, longest = attack(attacked, lambda: call(channel, method, body))
    assert longest < LONGEST_SECONDS
    assert code in ({CODE.OK} if name in attacks.TEXTS else REFUSED)


def test_a_stream_of_small_requests(attacked):
    def flood():
        with ThreadPoolExecutor(16) as threads:
            return set(threads.map(lambda _: post(attacked, attacks.PREDICT, b'{"instances": ["a"]}'), range(600)))

    statuses, longest = attack(attacked, flood)
    assert longest < LONGEST_SECONDS and statuses <= {200, 503}


def test_bodies_that_do_not_end_leave_room_for_probes(exported, start):
    """More of them than there are places for requests."""
    head = f"POST {attacks.PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode()
    with start(exported("single_label"), requests=60) as running, contextlib.ExitStack() as open_:
        for _ in range(70):
            slow = open_.enter_context(socket.create_connection(("127.0.0.1", running.server.rest_port)))
            slow.sendall(head)
        running.until(lambda: running.server.routes.callers.count == 60)
        assert running.rest(attacks.PREDICT, {"instances": ["a"]})[0] == 503
        for path in (LIVE, "/healthz/ready"):
            assert running.rest(path)[0] == 200


def test_watches_take_no_place_of_requests(exported, start, tmp_path):
    """Those without a token have a room of their own, and each connection a share of it."""
    (tmp_path / "tokens").write_text("# of the tests\nsecret\n")
    options = {"token_file": tmp_path / "tokens", "requests": 4, "watches": 16}
    allowed = (("authorization", "Bearer secret"),)
    with start(exported("single_label"), **options) as running, contextlib.ExitStack() as open_:
        channels = [open_.enter_context(own_connection(running)) for _ in range(12)]
        watches = []
        for channel in channels:
            for _ in range(3):  # two are one connection's share
                watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
                watches.append((watch, first_of(watch)))
        assert [first for _, first in watches[:3]] == ["SERVING", "SERVING", CODE.RESOURCE_EXHAUSTED]
        firsts = [first for _, first in watches]
        assert firsts.count("SERVING") == 16 and firsts.count(CODE.RESOURCE_EXHAUSTED) == 20
        stub = health_pb2_grpc.HealthStub(channels[0])
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=60).status == 1
        known = stub.Watch(health_pb2.HealthCheckRequest(), metadata=allowed)
        assert first_of(known) == "SERVING"
        method = "/tensorflow.serving.ModelService/GetModelStatus"
        message = attacks.field(1, attacks.field(1, b"single_label"))
        channels[0].unary_unary(method)(message, timeout=60, metadata=allowed)
        assert call(channels[0], method, message) is CODE.UNAUTHENTICATED
        for watch, _ in watches:
            watch.cancel()
        running.until(lambda: first_of(stub.Watch(health_pb2.HealthCheckRequest())) == "SERVING")


def test_messages_that_do_not_end_give_way(exported, start):
    """More of them than may come in at a time: who waits takes the place of the slowest, and probes are heard."""

    ended = threading.Event()
    with start(exported("single_label"), body_seconds=30.0) as running, own_connection(running) as slow:
        try:
            method = slow.stream_unary(attacks.PREDICTION + "Predict")
            check = slow.stream_unary("/grpc.health.v1.Health/Check")
            silent = [each.future(never(ended)) for each in [method] * 60 + [check] * 30]
            with running.channel() as channel:
                start_ = time.monotonic()
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
                spec = attacks.field(1, attacks.field(1, b"nobody"))
                assert call(channel, attacks.PREDICTION + "Predict", spec) is CODE.NOT_FOUND
                assert time.monotonic() - start_ < 20
            running.until(lambda: any(each.done() for each in silent[:60]))
        finally:
            ended.set()
        for each in silent:
            each.cancel()


def never(ended):
    """A message that does not come before the test is over."""
    ended.wait(60)
    yield b""


def own_connection(running):
    """A channel that shares its connection with no other."""
    return grpc.insecure_channel(f"127.0.0.1:{running.server.grpc_port}", [("grpc.use_local_subchannel_pool", 1)])


def first_of(watch):
    try:
        return health_pb2.HealthCheckResponse.ServingStatus.Name(next(watch).status)
    except grpc.RpcError as error:
        return error.code()


@pytest.mark.long
@pytest.mark.timeout(0)
def test_everything_at_once_for_long(attacked):
    """Four clients with all attacks in turn, each in an order of his own; nobody else waits, and memory is bounded."""
    by_rest = [(post, *each) for each in attacks.rest().values()]
    by_grpc = [(call, *each) for each in attacks.grpc().values()]
    process, end = psutil.Process(), time.monotonic() + SECONDS
    before, most, codes = process.memory_info().rss, 0, set()

    def client(seed):
        chance = random.Random(seed)
        with own_connection(attacked) as channel:
            while time.monotonic() < end:
                send, where, make = chance.choice(by_rest + by_grpc)
                codes.add(send(channel if send is call else attacked, where, make()))

    probe = Probe(attacked)
    with ThreadPoolExecutor(4) as threads:
        clients = [threads.submit(client, seed) for seed in range(4)]
        while not all(each.done() for each in clients):
            probe.ask()
            most = max(most, process.memory_info().rss - before)
            time.sleep(0.02)
        for each in clients:
            each.result()
    assert codes <= {200, 400, 503, 504, None} | REFUSED | BUSY
    assert most < MOST_MIB * 2**20
    assert probe.longest < 4 * LONGEST_SECONDS
