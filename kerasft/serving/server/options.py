"""Every setting of the local server, with its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kerasft.errors import UserError
from kerasft.serving.server.access import Tls
from kerasft.serving.server.batching import BatchLimits
from kerasft.serving.server.engines import SAVED_MODEL
from kerasft.serving.server.requests import RequestLimits
from kerasft.serving.server.watch import MonitorLimits
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
        tls: certificate and key; None: neither port has TLS.
        token_file: bearer tokens, one a line; None: nobody is asked for one.
        log_texts: whether texts are logged, masked.
        review_file: gets the texts that filters find something in; None: nothing does.
        trust: whether models may reach files, networks and processes.
        engine: what computes answers; see `engines`.
        requests: that may be under way at a time, of each port.
        connection_requests: of one gRPC connection.
        watches: gRPC health watches at a time, of those with a token and of all others each.
        pending_bytes: of the bodies of all requests under way and of REST answers that are not read yet, but for the
            first 64 KiB of each.
        batch: how requests are put together to batches.
        request: how large one request may be.
        monitor: what is compared with the training, and who is told.
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
    tls: Tls | None = None
    token_file: Path | None = None
    log_texts: bool = False
    review_file: Path | None = None
    trust: bool = False
    engine: str = SAVED_MODEL
    requests: int = 1024
    connection_requests: int = 512
    watches: int = 128
    pending_bytes: int = 256 * MIB
    batch: BatchLimits = field(default_factory=BatchLimits)
    request: RequestLimits = field(default_factory=RequestLimits)
    monitor: MonitorLimits = field(default_factory=MonitorLimits)


# Where an option of the program has another name than here.
RENAMED = {
    "max_body_bytes": "body_bytes",
    "max_header_bytes": "header_bytes",
    "model_config_file": "config_file",
    "max_requests": "requests",
    "max_connection_requests": "connection_requests",
    "max_watches": "watches",
    "max_pending_bytes": "pending_bytes",
}
BATCH = {"batch_rows": "rows", "batch_threads": "threads", "queue_rows": "queued_rows"}
REQUEST = {
    "max_rows": "rows",
    "max_text_bytes": "text_bytes",
    "max_values": "values",
    "max_input_bytes": "input_bytes",
}
MONITOR = {
    "monitor_rows_per_second": "rate",
    "monitor_window": "window",
    "monitor_least": "least",
    "drift_threshold": "threshold",
    "drift_cooldown_seconds": "cooldown",
    "drift_webhook": "webhook",
}


def from_arguments(arguments: Mapping[str, Any]) -> Options:
    """What was asked for on the command line, None where nothing was; that has its default. Raises UserError."""
    settings = {RENAMED.get(key, key): value for key, value in arguments.items() if value is not None}
    plain = {each.name for each in fields(Options)} & settings.keys() - {"folders"}
    tls = Tls(settings["tls_cert"], settings["tls_key"], settings.get("client_ca")) if "tls_cert" in settings else None
    return Options(
        **{key: settings[key] for key in plain},
        folders=tuple(settings.get("folders", ())),
        tls=tls,
        batch=BatchLimits(**{BATCH[key]: settings[key] for key in BATCH.keys() & settings.keys()}),
        request=RequestLimits(**{REQUEST[key]: settings[key] for key in REQUEST.keys() & settings.keys()}),
        monitor=_monitor({MONITOR[key]: settings[key] for key in MONITOR.keys() & settings.keys()}),
    )


def _monitor(settings: Mapping[str, Any]) -> MonitorLimits:
    limits = MonitorLimits(**settings)
    if limits.least > limits.window:
        fix = f"at most --monitor-window, {limits.window}"
        raise UserError(f"--monitor-least: {limits.least} rows are more than the window has; give {fix}")
    return limits
