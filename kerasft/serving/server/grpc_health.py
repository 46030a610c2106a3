"""gRPC's health protocol: what probes and load balancers ask."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2

SERVICE = "grpc.health.v1.Health"
STATUS = health_pb2.HealthCheckResponse


class HealthService:
    """Check and Watch; List, which the protocol has since 2025, is UNIMPLEMENTED.

    That of grpcio-health-checking holds a lock while it writes to a client; one that does not read would keep the
    others from their answers, and the server from ending.
    """

    def __init__(self):
        self._statuses: dict[str, int] = {}
        self._changed = asyncio.Event()

    def set(self, service: str, status: int) -> None:
        """From now on the service has this status; watchers are told."""
        self._statuses[service] = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(self, request, context):
        if request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return STATUS(status=self._statuses[request.service])

    async def Watch(self, request, context):
        last = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, STATUS.SERVICE_UNKNOWN)
            if status != last:
                await context.write(STATUS(status=status).SerializeToString())
            last = status
            await changed.wait()

    async def List(self, request, context):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "List is not served here; use Check")
