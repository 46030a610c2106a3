"""Which path of the REST port is answered by what, and who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from aiohttp import web

from kerasft.serving.bundle import METRICS_PATH
from kerasft.serving.server import openapi
from kerasft.serving.server.access import Tokens
from kerasft.serving.server.admission import Shares
from kerasft.serving.server.options import Options
from kerasft.serving.server.page import page
from kerasft.serving.server.ports import send
from kerasft.serving.server.rest import RestApi, json_response, refusal
from kerasft.serving.status import ServingError

if TYPE_CHECKING:
    from kerasft.serving.server.server import Server

PROBES = LIVE, READY = "/healthz/live", "/healthz/ready"
DRIFT, OPENAPI = "/monitoring/drift", "/openapi.json"


class Routes:
    """All of HTTP.

    Args:
        server: whose state is told.
        rest: answers what is below /v1.
        options: how many requests there may be, and how long an answer may take to be read.
        tokens: who may ask; None: everybody.

    Attributes:
        callers: requests that are under way.
    """

    def __init__(self, server: Server, rest: RestApi, options: Options, tokens: Tokens | None):
        self._server, self._rest, self._options, self._tokens = server, rest, options, tokens
        self.callers = Shares(options.requests, options.requests, "requests")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        if request.path in PROBES:  # they have no token, and come through whatever others do
            return self._probe(request)
        try:
            if self._tokens:
                self._tokens.check(request.headers.get("Authorization"))
            with self.callers.slot(""):
                response = await self._answer(request)
                # The request is over once its client has the answer: one that does not read keeps its place, and
                # what it does not read is held.
                with self._rest.memory.account() as account:
                    account.add(len(response.body) if isinstance(response.body, bytes) else 0)
                    return await send(request, response, self._options.body_seconds)
        except ServingError as error:
            return refusal(error)

    def _probe(self, request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return refusal(ServingError(grpc.StatusCode.NOT_FOUND, "Not Found"))
        if request.path == LIVE:
            return json_response({"live": True})
        ready = self._server.ready
        return json_response({"ready": ready}, 200 if ready else 503)

    async def _answer(self, request: web.Request) -> web.Response:
        path, server = request.path, self._server
        if path.lower().startswith("/v1/"):
            return await self._rest.handle(request)
        if request.method in ("GET", "HEAD"):
            if path == "/":
                return page(server.manager)
            if path == OPENAPI:
                return json_response(openapi.document(server.manager, self._tokens is not None))
            if path == METRICS_PATH:
                return web.Response(body=server.metrics.page(), headers={"Content-Type": "text/plain; version=0.0.4"})
            if path == DRIFT:
                return json_response(server.monitor.describe())
        return refusal(ServingError(grpc.StatusCode.NOT_FOUND, "Not Found"))
