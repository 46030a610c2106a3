"""The two ports: aiohttp's HTTP and grpcio's gRPC, with the limits and the TLS of the options."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from google.protobuf.message import DecodeError

from kerasft.errors import UserError
from kerasft.serving.server.event_log import EventLog, Libraries
from kerasft.serving.server.grpc_calls import PROBES
from kerasft.serving.server.options import Options

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
CALLS_SHARE = 2  # calls that gRPC holds, those that are refused or just end among them, for one with a place
LINGERING_SECONDS = 1.0  # that the rest of a refused body is read for, so that the client sees the answer


def quote_nothing(log: EventLog) -> None:
    """The libraries of both ports quote no request in a log."""
    # Of OSErrors, a handshake that fails and a connection that is cut are the usual ones.
    Libraries(log, (HttpProcessingError, DecodeError, OSError)).install()


def make_runner(handle: Handle, options: Options) -> web.AppRunner:
    """All of HTTP goes to `handle`, which is cancelled when its client is gone."""
    app = web.Application(client_max_size=options.body_bytes)
    app.router.add_route("*", "/{path:.*}", _limited(handle, options.header_bytes), expect_handler=_expect)
    return web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=options.header_seconds,  # holds for the first head of a connection too
        shutdown_timeout=options.drain_seconds,
        max_line_size=options.header_bytes // 2,
        max_field_size=options.header_bytes // 2,
        lingering_time=LINGERING_SECONDS,
    )


def _limited(handle: Handle, most: int) -> Handle:
    # aiohttp limits each field, and their number to 128, but not what they are together.
    async def limited(request: web.Request) -> web.StreamResponse:
        size = len(request.raw_path) + sum(len(name) + len(value) for name, value in request.raw_headers)
        if size > most:
            return web.json_response({"error": f"the head is larger than the {most} bytes that are taken"}, status=400)
        return await handle(request)

    return limited


async def send(request: web.Request, response: web.Response, seconds: float) -> web.Response:
    """The response, once its client has it; a client that does not read it within these seconds is cut off."""
    try:
        await asyncio.wait_for(_write(request, response), seconds)
    except asyncio.TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response


async def _write(request: web.Request, response: web.Response) -> None:
    await response.prepare(request)
    await response.write_eof()


async def _expect(request: web.Request) -> web.Response | None:
    # aiohttp's own quotes what it does not know, and answers 500 where that is no UTF-8.
    if request.headers.get("Expect", "").lower() != "100-continue":
        return web.json_response({"error": "Expect: only 100-continue is known"}, status=417)
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # it is no part of the answer
    return None


async def open_rest(runner: web.AppRunner, options: Options) -> int:
    """Listens; the port. Raises UserError where it is taken or the certificate cannot be read."""
    tls = options.tls.for_rest() if options.tls else None
    site = web.TCPSite(runner, options.host, options.rest_port, ssl_context=tls)
    try:
        await site.start()
    except OSError as error:
        raise UserError(f"--rest-port: {options.host}:{options.rest_port}: {error.strerror}") from error
    return site.port


def make_grpc_server(options: Options) -> grpc.aio.Server:
    """A server to add handlers to; who gets a place is said by `grpc_calls`, what is here bounds all together."""
    return grpc.aio.server(
        maximum_concurrent_rpcs=CALLS_SHARE * (options.requests + options.watches) + PROBES,
        options=(
            ("grpc.max_receive_message_length", options.body_bytes),
            ("grpc.max_metadata_size", options.header_bytes),
            ("grpc.absolute_max_metadata_size", options.header_bytes),
            ("grpc.max_concurrent_streams", CALLS_SHARE * options.connection_requests),
            ("grpc.so_reuseport", 0),
        ),
    )


async def open_grpc(server: grpc.aio.Server, options: Options) -> int:
    """Listens; the port. Raises UserError where it is taken."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = f"{host}:{options.grpc_port}"
    try:
        if options.tls:
            port = server.add_secure_port(address, options.tls.for_grpc())
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise UserError(f"--grpc-port: {address}: cannot listen there; is it taken?") from error
    await server.start()
    return port
