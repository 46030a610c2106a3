"""What the HTTP port does before a request reaches the server's own code; without a model."""

import asyncio
import socket
from dataclasses import replace

import pytest
from aiohttp import web

from kerasft.errors import UserError
from kerasft.serving.server.options import Options
from kerasft.serving.server.ports import make_runner, open_rest

OPTIONS = Options(rest_port=0, body_bytes=1000, header_bytes=2048, header_seconds=0.3)


async def echo(request):
    return web.json_response({"read": len(await request.read())})


@pytest.fixture
def ask():
    """Returns a function: bytes on a new connection -> all that comes back until the server closes it."""

    async def exchange(sent, options):
        runner = make_runner(echo, options)
        await runner.setup()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", await open_rest(runner, options))
            writer.write(sent)
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            return answer
        finally:
            await runner.cleanup()

    return lambda sent, options=OPTIONS: asyncio.run(exchange(sent, options))


def post(headers, body=b"ab"):
    return b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n" % (len(body), headers) + body


def test_a_client_that_asks_whether_to_go_on_is_told(ask):
    answer = ask(post(b"Expect: 100-continue\r\nConnection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK") and answer.endswith(b'{"read": 2}')


@pytest.mark.parametrize("value", [b"anything", b"\xc3", b"\xff\xfe"])
def test_other_expectations_are_refused_and_not_quoted(ask, value):
    answer = ask(post(b"Connection: close\r\nExpect: " + value + b"\r\n"))
    assert answer.startswith(b"HTTP/1.1 417 ") and b'{"error": ' in answer and value not in answer


def test_a_head_has_its_limits(ask):
    assert ask(post(b"A: " + b"a" * 900 + b"\r\nConnection: close\r\n")).startswith(b"HTTP/1.1 200 ")
    for long in (b"A: " + b"a" * 1100 + b"\r\n", b"A: " + b"a" * 10_000 + b"\r\n"):
        assert status(ask(post(long))) == b"400"
    assert status(ask(b"GET /" + b"a" * 1100 + b" HTTP/1.1\r\n\r\n")) == b"400"


def test_fields_have_a_limit_together(ask):
    fields = b"".join(b"A%d: %s\r\n" % (number, b"a" * 190) for number in range(20)) + b"Connection: close\r\n"
    answer = ask(post(fields))
    assert status(answer) == b"400" and b"larger than the 2048 bytes" in answer
    assert status(ask(post(fields), replace(OPTIONS, header_bytes=8192))) == b"200"
    assert status(ask(post(b"A: b\r\n" * 500))) == b"400"


def status(answer):
    return answer.split(maxsplit=2)[1]


@pytest.mark.parametrize("sent", [b"", b"POST /x HT", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_connection_that_says_nothing_more_is_closed(ask, sent):
    answer = ask(sent)  # ends, though the client keeps it open
    assert answer == b"" or answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 4", b"HTTP/1.1 4"))


def test_a_taken_port_is_the_users_mistake(ask):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(UserError, match=f"--rest-port: 127.0.0.1:{taken.getsockname()[1]}: "):
            ask(b"", Options(rest_port=taken.getsockname()[1]))
