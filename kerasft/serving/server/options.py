"""Every setting of the local server, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kerasft.serving.server.batching import BatchLimits
from kerasft.serving.server.requests import RequestLimits
from kerasft.serving.tf_serving import GRPC_PORT, REST_PORT

MIB = 2**20


@dataclass(frozen=True)
class Options:
    """What `kerasft serve` was asked for.

    Args:
        folders: saved_models/NAME each; or
        config_file: a ModelServerConfig in text form.
        host: address to listen on.
        rest_port: 0: any that is free.
        grpc_port: 0: any that is free.
        body_bytes: of a request.
        header_bytes: of its head, in all.
        header_seconds: that a connection may take for the head of a request, and stay open without one.
        body_seconds: that a client may take to send a body.
        answer_seconds: for a client that names no deadline.
        poll_seconds: between two looks at the folders.
        drain_seconds: for requests under way when the server is told to end.
        batch: see BatchLimits.
        request: see RequestLimits.
    """

    folders: tuple[Path, ...] = ()
    config_file: Path | None = None
    host: str = "127.0.0.1"
    rest_port: int = REST_PORT
    grpc_port: int = GRPC_PORT
    body_bytes: int = 8 * MIB
    header_bytes: int = 16 * 1024
    header_seconds: float = 30.0
    body_seconds: float = 30.0
    answer_seconds: float = 30.0
    poll_seconds: float = 1.0
    drain_seconds: float = 20.0
    batch: BatchLimits = field(default_factory=BatchLimits)
    request: RequestLimits = field(default_factory=RequestLimits)
