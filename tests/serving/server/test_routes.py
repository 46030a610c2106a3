"""What the REST port does with an answer that is ready."""

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web

from kerasft.serving.server.admission import FREE_BYTES, Memory
from kerasft.serving.server.options import Options
from kerasft.serving.server.rest import RestApi
from kerasft.serving.server.routes import Routes


@pytest.fixture
def memory():
    return Memory(1000)


@pytest.fixture
def ask(memory, monkeypatch):
    """Returns a function that asks for an answer of so many bytes, and what `send` was called with."""
    told = []

    async def sent(request, response, seconds):
        told.append((len(response.body), memory.used))
        return response

    monkeypatch.setattr("kerasft.serving.server.routes.send", sent)
    options = Options()
    routes = Routes(None, RestApi(None, options, memory), options, None)

    def asked(size):
        async def answer(request):
            return web.Response(body=b"x" * size)

        monkeypatch.setattr(routes, "_answer", answer)
        return asyncio.run(routes.handle(SimpleNamespace(path="/v1/models", headers={}))).status, told

    return asked


def test_answers_that_nobody_has_read_yet_are_counted(ask, memory):
    assert ask(FREE_BYTES + 600) == (200, [(FREE_BYTES + 600, 600)])
    assert memory.used == 0


def test_an_answer_for_which_there_is_no_room_is_refused(ask, memory):
    assert ask(FREE_BYTES + 1001) == (503, [])
    assert memory.used == 0
    assert ask(FREE_BYTES)[0] == 200
