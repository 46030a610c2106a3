"""`python -m kerasft.serve saved_models/NAME ...`: serves exports on this machine, behind TensorFlow Serving's API."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasft.console.arguments import Parser
from kerasft.console.signals import leave_terminal, signals_heeded
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.errors import UserError
from kerasft.invocation import install_command
from kerasft.paths import check_no_pattern
from kerasft.serving.tf_serving import GRPC_PORT, REST_PORT

if TYPE_CHECKING:
    import argparse

ENGINES = ("saved_model", "litert", "onnx", "auto")
OPEN_FILES = 65_536  # connections among them; the usual limit is 1,024


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("serve", __doc__, "saved_models/NAME")
    add = parser.add_argument
    add("folders", nargs="*", type=Path, metavar="FOLDER", help="saved_models/NAME, which holds versions 1, 2, ...")
    add("--model-config-file", type=Path, metavar="FILE", help="a ModelServerConfig instead of folders")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    add("--rest-port", type=_whole(0), default=REST_PORT, help=f"0: any that is free (default: {REST_PORT})")
    add("--grpc-port", type=_whole(0), default=GRPC_PORT, help=f"0: any that is free (default: {GRPC_PORT})")
    for option, unit, help_text in LIMITS:
        add(option, type=_whole(1), metavar=unit, help=help_text)
    add("--monitor-rows-per-second", type=_whole(0), metavar="N", help="rows watched for drift; 0: none (default: 50)")
    add("--drift-threshold", type=_positive, metavar="X", help="stability index that is an alert (default: 0.25)")
    add("--drift-webhook", metavar="URL", help="where alerts are posted to; no text of a user is in them")
    add("--engine", choices=ENGINES, default=ENGINES[0], help="what answers; auto: the fastest of those that agree")
    add("--tls-cert", type=Path, metavar="PEM", help="certificate of both ports; needs --tls-key")
    add("--tls-key", type=Path, metavar="PEM", help="its key")
    add("--client-ca", type=Path, metavar="PEM", help="only clients with a certificate of this authority (mutual TLS)")
    add("--token-file", type=Path, metavar="FILE", help="only clients with one of these bearer tokens, one a line")
    add("--log-texts", action="store_true", help="log texts, with e-mail addresses, phone and id numbers masked")
    add("--review-file", type=Path, metavar="FILE", help="gets the texts that serving.filters find, a line each")
    add("--trust", action="store_true", help="serve models that reach files, networks or processes, too")
    add("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: serve(args), if_interrupted="before the server was ready")


# Option, unit, what it limits; defaults stand in serving/server/.
LIMITS = (
    ("--batch-rows", "N", "rows of a batch that requests are put together to"),
    ("--batch-threads", "N", "batches that run at the same time"),
    ("--queue-rows", "N", "rows that may wait; what comes then is refused at once"),
    ("--max-body-bytes", "N", "bytes of a request"),
    ("--max-header-bytes", "N", "bytes of a request's head"),
    ("--max-rows", "N", "rows of a request"),
    ("--max-text-bytes", "N", "bytes of one text"),
    ("--max-values", "N", "values of a request's JSON, or in a gRPC message"),
    ("--max-input-bytes", "N", "bytes of a request's inputs once they are read"),
    ("--max-requests", "N", "requests under way at a time, of each port"),
    ("--max-connection-requests", "N", "of these, those of one gRPC connection"),
    ("--max-watches", "N", "gRPC health watches at a time, with a token, and as many without"),
    ("--max-pending-bytes", "N", "bytes of all requests under way, but for the first 64 KiB of each"),
    ("--header-seconds", "S", "until a connection must have sent the head of a request"),
    ("--body-seconds", "S", "until it must have sent the body"),
    ("--answer-seconds", "S", "until an answer must be there, for clients that name no deadline"),
    ("--poll-seconds", "S", "between two looks for new versions"),
    ("--monitor-window", "N", "newest rows that are compared with the export's reference"),
    ("--monitor-least", "N", "rows before they are compared"),
    ("--drift-cooldown-seconds", "S", "between two alerts of a model"),
    ("--drain-seconds", "S", "for requests under way when the server is told to end"),
)


def serve(args: argparse.Namespace) -> int:
    """Serves until SIGTERM, SIGHUP or Ctrl-C, and then ends as soon as requests under way are answered."""
    if bool(args.folders) == bool(args.model_config_file):
        raise UserError("give either saved_models/NAME (one or more) or --model-config-file FILE")
    if bool(args.tls_cert) != bool(args.tls_key) or (args.client_ca and not args.tls_cert):
        raise UserError("--tls-cert, --tls-key: give both; --client-ca goes with them")
    for folder in args.folders:
        check_no_pattern(folder, "FOLDER")
    quiet_tensorflow(args.verbose)
    try:
        from kerasft.serving.server.event_log import EventLog
        from kerasft.serving.server.options import from_arguments
        from kerasft.serving.server.ports import quote_nothing
        from kerasft.serving.server.server import Server
    except ModuleNotFoundError as error:
        raise UserError(f"the server needs the package {error.name}; {install_command('serve')}") from error
    log = EventLog()
    quote_nothing(log)
    _prepare_process()
    return asyncio.run(_serve(Server(from_arguments(vars(args)), log, Terminal().result)))


def _prepare_process() -> None:
    """Room for connections, and short pauses."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, min(most, OPEN_FILES)), most))
    # The million objects of what was imported live as long as the process: Python need not look through them each time
    # that a request makes many.
    gc.collect()
    gc.freeze()


async def _serve(server) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if number == signal.SIGHUP:
            leave_terminal()
        stop.set()

    for number in signals_heeded():
        loop.add_signal_handler(number, end, number)
    try:
        starting = loop.create_task(server.start())
        ending = loop.create_task(stop.wait())
        await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()  # raises what stopped it
            await ending
        starting.cancel()
    finally:
        await server.close()
    return 0


def _whole(least: int):
    def whole(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise ValueError(text)
        return int(text)

    return whole


def _positive(text: str) -> float:
    value = float(text)
    if 0 < value < float("inf"):
        return value
    raise ValueError(text)


if __name__ == "__main__":
    sys.exit(main())
