"""Who has a place among gRPC calls while a message is awaited."""

import asyncio
import io
from collections import Counter
from types import SimpleNamespace

import grpc
import pytest

from kerasft.serving.server.admission import Memory
from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.grpc_calls import PROBES, SHARES, Calls
from kerasft.serving.server.grpc_health import HealthService
from kerasft.serving.server.offload import Offload
from kerasft.serving.server.options import Options

CHECK = SimpleNamespace(method="/grpc.health.v1.Health/Check", invocation_metadata=())


class Context:
    """Of a call that has no message yet."""

    def __init__(self, peer):
        self._peer = peer
        self.refused = None

    def peer(self):
        return self._peer

    async def read(self):
        await asyncio.sleep(60)

    async def abort(self, code, message):
        self.refused = (code, message)
        raise grpc.aio.AbortError


@pytest.fixture
def check():
    """The method Check of a server."""
    offload = Offload()
    calls = Calls(Options(), None, Memory(1), offload, EventLog(io.StringIO()))
    yield calls.health(HealthService()).service(CHECK).stream_unary
    offload.close()


@pytest.mark.parametrize(("peers", "told"), [
    (["a"] * (PROBES // SHARES + 5), "health checks of this connection are under way"),
    ([f"p{number}" for number in range(PROBES + 5)], "health checks are under way"),
])  # fmt: skip
def test_health_checks_without_a_message_have_bounded_places(check, peers, told):
    async def work():
        contexts = [Context(peer) for peer in peers]
        asked = [asyncio.create_task(check(None, context)) for context in contexts]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = [context.refused for context in contexts if context.refused]
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        return refused

    refused = asyncio.run(work())
    assert Counter(code for code, _ in refused) == {grpc.StatusCode.RESOURCE_EXHAUSTED: 5}
    assert all(told in message for _, message in refused)
