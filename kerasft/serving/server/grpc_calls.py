"""How a gRPC call comes in: who may, in which place, with how large a message, which is read beside the event loop.

gRPC's own server reads a message before anybody can refuse it, and parses it in the loop. Here every method is one that
takes a stream of bytes, of which the first is the message: it is asked for when there is room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from kerasft.serving.server import grpc_health
from kerasft.serving.server.access import Tokens
from kerasft.serving.server.admission import Memory, Shares, Turns
from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.offload import Offload
from kerasft.serving.server.options import Options
from kerasft.serving.server.proto_scan import EXAMPLES, PREDICT, has_more
from kerasft.serving.status import ServingError, invalid

Context = grpc.aio.ServicerContext
# Messages whose values are counted.
COUNTED = {PredictRequest: PREDICT, ClassificationRequest: EXAMPLES, RegressionRequest: EXAMPLES}
Method = Callable[[Any, Context], Awaitable[Any]]
COMING, PROBES_COMING = 32, 16  # messages that may come in at a time: each may grow to the largest there is
PATIENCE_SECONDS = 1.0
SMALL_MESSAGE = 64 * 1024  # bytes of one that holds no inputs of a model
SHARES = 8  # a connection may have so much of all watches, and of all health checks whose message is awaited
PROBES = 512  # such checks: more than ever wait where nobody means harm


class Calls:
    """Admits the calls of one server.

    Args:
        options: limits of size, number and time.
        tokens: who may ask; None: everybody.
        memory: that messages are counted in.
        offload: parses large messages.
        log: is told of mistakes of ours.
    """

    def __init__(self, options: Options, tokens: Tokens | None, memory: Memory, offload: Offload, log: EventLog):
        self._options, self._tokens, self._memory, self._offload, self._log = options, tokens, memory, offload, log
        self._callers = Shares(options.requests, options.connection_requests, "requests")
        each = max(1, options.watches // SHARES)
        # Those without a token cannot take the places of those with one.
        self._watchers = {has_token: Shares(options.watches, each, "health watches") for has_token in (False, True)}
        self._probers = Shares(PROBES, PROBES // SHARES, "health checks")
        self._coming = Turns(COMING, PATIENCE_SECONDS)
        self._probes_coming = Turns(PROBES_COMING, 0.0)

    def service(
        self, name: str, servicer: object, large: Mapping[str, type[Message]], small: Mapping[str, type[Message]]
    ) -> grpc.GenericRpcHandler:
        """The methods of a servicer, coroutines (message, context) -> message.

        Args:
            name: of the service.
            servicer: has a method for each name.
            large: method -> message that holds inputs of a model.
            small: method -> other messages.
        """
        handlers = {}
        for kinds, most in ((large, self._options.body_bytes), (small, SMALL_MESSAGE)):
            for method, kind in kinds.items():
                handlers[method] = grpc.stream_unary_rpc_method_handler(
                    self._unary(getattr(servicer, method), kind, most)
                )
        return grpc.method_handlers_generic_handler(name, handlers)

    def health(self, servicer: grpc_health.HealthService) -> grpc.GenericRpcHandler:
        """Health, for which nobody needs a token or a place among requests."""

        async def watch(messages, context: Context) -> None:
            async def hold() -> None:
                request = await self._probe(context)
                with self._watchers[self._is_known(context)].slot(context.peer()):
                    await servicer.Watch(request, context)

            await self._refusing(context, hold())

        def probe(method: Method):
            async def answer(messages, context: Context):
                async def work() -> bytes:
                    return (await method(await self._probe(context), context)).SerializeToString()

                return await self._refusing(context, work())

            return grpc.stream_unary_rpc_method_handler(answer)

        handlers = {"Check": probe(servicer.Check), "List": probe(servicer.List)}
        handlers["Watch"] = grpc.stream_stream_rpc_method_handler(watch)
        return grpc.method_handlers_generic_handler(grpc_health.SERVICE, handlers)

    def _unary(self, method: Method, kind: type[Message], most: int):
        async def answer(messages, context: Context):
            async def work() -> bytes:
                if self._tokens:
                    self._tokens.check(_authorization(context))
                with self._callers.slot(context.peer()), self._memory.account() as account:
                    body = await self._message(context, self._coming)
                    if len(body) > most:
                        raise invalid(f"the message has {len(body)} bytes; this method takes {most} at most")
                    account.add(len(body))
                    deadline = self.deadline(context)
                    values = self._options.request.values
                    request = await self._offload.run(len(body), deadline, _parsed, kind, body, values)
                    del body
                    response = await method(request, context)
                    del request
                    return await self._offload.run(response.ByteSize(), deadline, response.SerializeToString)

            return await self._refusing(context, work())

        return answer

    async def _probe(self, context: Context):
        with self._probers.slot(context.peer()):
            body = await self._message(context, self._probes_coming)
        if len(body) > SMALL_MESSAGE:
            raise invalid(f"the message has {len(body)} bytes; this method takes {SMALL_MESSAGE} at most")
        return _parsed(health_pb2.HealthCheckRequest, body)

    async def _message(self, context: Context, turns: Turns) -> bytes:
        body = await turns.take(context.read(), self._options.body_seconds)
        if not isinstance(body, bytes):  # the end of the stream
            raise invalid("the call has no message")
        return body

    async def _refusing(self, context: Context, work):
        try:
            return await work
        except ServingError as error:
            await context.abort(error.code, error.message)
        except (grpc.aio.AbortError, asyncio.CancelledError):
            raise
        except grpc.RpcError:  # the client is gone
            raise
        except Exception as error:  # noqa: BLE001  gRPC would quote it to the client
            self._log.mistake(error, entrypoint="GRPC")
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")

    def deadline(self, context: Context) -> float:
        """Of a call, by the event loop's clock: the client's own, or the server's."""
        remaining = context.time_remaining()
        seconds = self._options.answer_seconds if remaining is None else remaining
        return asyncio.get_running_loop().time() + seconds

    def _is_known(self, context: Context) -> bool:
        if self._tokens is None:
            return False
        try:
            self._tokens.check(_authorization(context))
        except ServingError:
            return False
        return True


def _authorization(context: Context) -> str | bytes | None:
    return dict(context.invocation_metadata() or ()).get("authorization")


def _parsed(kind: type[Message], body: bytes, most: int | None = None) -> Message:
    if most is not None and has_more(body, COUNTED.get(kind, {}), most):
        raise invalid(f"the message has more than {most} values, examples and features")
    try:
        return kind.FromString(body)
    except DecodeError:
        raise invalid(f"the message is not a {kind.DESCRIPTOR.full_name}") from None
