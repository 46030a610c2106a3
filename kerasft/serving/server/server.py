"""The server: its models, its two ports, and how it starts, watches its folders and ends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Sequence

import grpc
from aiohttp import web
from grpc_health.v1 import health_pb2

from kerasft.errors import ServableError, UserError
from kerasft.serving.server.access import Tokens
from kerasft.serving.server.admission import Memory
from kerasft.serving.server.batching import Scheduler
from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.grpc_api import ModelService, PredictionService
from kerasft.serving.server.grpc_calls import Calls
from kerasft.serving.server.grpc_health import HealthService
from kerasft.serving.server.guard import ReviewFile, load_guard
from kerasft.serving.server.loading import Loading
from kerasft.serving.server.manager import Manager
from kerasft.serving.server.metrics import Metrics
from kerasft.serving.server.monitor import Monitor
from kerasft.serving.server.options import Options
from kerasft.serving.server.ports import make_grpc_server, make_runner, open_grpc, open_rest
from kerasft.serving.server.prediction import Prediction
from kerasft.serving.server.rest import RestApi
from kerasft.serving.server.routes import Routes
from kerasft.serving.server.settings import ModelSettings, read_file, read_folder
from kerasft.serving.server.webhook import Webhook
from kerasft.serving.status import ServingError

EVERYWHERE = ("0.0.0.0", "::")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")


class Server:
    """One local server, on one event loop.

    Args:
        options: every setting.
        log: is told what happens.
        greet: is told, in a line for people, which page to open.

    Attributes:
        rest_port: where it listens, once started.
        grpc_port: where it listens, once started.
    """

    def __init__(self, options: Options, log: EventLog, greet: Callable[[str], None] = lambda line: None):
        self._options = options
        self._log = log
        self._greet = greet
        self.metrics = Metrics()
        self._scheduler = Scheduler(options.batch, self.metrics)
        self._review = ReviewFile(options.review_file) if options.review_file else None
        guards = functools.partial(load_guard, metrics=self.metrics, review=self._review, trust=options.trust)
        self.manager = Manager(self._scheduler, log, Loading(options.trust, guards, options.engine))
        url = options.monitor.webhook
        self._webhook = Webhook(url, self._hooked) if url else None
        post = self._webhook.post if self._webhook else None
        self.monitor = Monitor(self.manager, options.monitor, log, self.metrics, post)
        self.metrics.watch(self.manager, self.monitor)
        answering = (self.manager, options.request, self.metrics, log, self.monitor, options.log_texts)
        self._prediction = Prediction(*answering)
        self._tokens = Tokens(options.token_file) if options.token_file else None
        self._memory = Memory(options.pending_bytes)
        self.routes = Routes(self, RestApi(self._prediction, options, self._memory), options, self._tokens)
        self._settings: list[ModelSettings] = []
        self._reloaded: list[ModelSettings] | None = None
        self._changing = asyncio.Lock()  # what the folders say may not come after what a client said
        self._ending = False
        self._watching: asyncio.Task[None] | None = None
        self._health = HealthService()
        self._runner: web.AppRunner | None = None
        self._grpc: grpc.aio.Server | None = None
        self.rest_port = self.grpc_port = 0

    async def start(self) -> None:
        """Listens, then loads; returns when every model answers.

        Raises:
            UserError: a port is taken, or there is nothing to serve.
            ServableError: no version of a model can be loaded.
        """
        self._settings = self._read_settings()
        await self._listen()
        self._say_health(False)
        await self.manager.update(self._settings)
        for each in self._settings:
            self._check_started(each)
        self._say_health(True)
        self.monitor.start()
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        self._log("ready", host=self._options.host, rest_port=self.rest_port, grpc_port=self.grpc_port)

    def _check_started(self, settings: ModelSettings) -> None:
        versions = self.manager.models[settings.name].versions
        if not versions:
            raise UserError(f"{settings.base_path}: holds no version to serve (1/saved_model.pb, ...)")
        if not self.manager.models[settings.name].available():
            newest = versions[max(versions)]
            assert newest.error is not None
            raise ServableError(f"{newest.folder}: {newest.error[1]}")

    def _read_settings(self) -> list[ModelSettings]:
        if self._options.config_file:
            return read_file(self._options.config_file)
        settings = [read_folder(folder) for folder in self._options.folders]
        names = [each.name for each in settings]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"two folders would be served as {twice[0]}; use --model-config-file to name them")
        return settings

    async def _listen(self) -> None:
        options = self._options
        self._runner = make_runner(self.routes.handle, options)
        await self._runner.setup()
        self.rest_port = await open_rest(self._runner, options)
        self._grpc = make_grpc_server(options)
        calls = Calls(options, self._tokens, self._memory, self._prediction.offload, self._log)
        services = (
            PredictionService(self._prediction, options.answer_seconds),
            ModelService(self._prediction, options.answer_seconds, self._reload),
        )
        handlers = [calls.service(each.NAME, each, each.LARGE, each.SMALL) for each in services]
        self._grpc.add_generic_rpc_handlers((*handlers, calls.health(self._health)))
        self.grpc_port = await open_grpc(self._grpc, options)
        self._greet(f"open {self.page} in a browser; gRPC is on port {self.grpc_port}, Ctrl+C ends the server")
        self._log("listening", page=self.page, rest_port=self.rest_port, grpc_port=self.grpc_port)
        if options.host not in LOOPBACK and not (options.tls and (options.token_file or options.tls.client_ca)):
            self._log("unprotected", host=options.host, reason="others can reach it without TLS or without a token")

    @property
    def page(self) -> str:
        """The address of the page, as a browser on this machine finds it."""
        host = "localhost" if self._options.host in (*LOOPBACK, *EVERYWHERE) else self._options.host
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self._options.tls else 'http'}://{host}:{self.rest_port}/"

    def _hooked(self, outcome: str) -> None:
        self.metrics.hook(outcome)
        if outcome != "delivered":
            self._log("webhook", outcome=outcome)

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.manager.ready and not self._ending

    def _say_health(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        for name in SERVICES:
            self._health.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def _reload(self, settings: Sequence[ModelSettings]) -> None:
        """A client's configuration: other versions and labels of the folders that this server was started with."""
        remaining = Counter(each.base_path.absolute() for each in self._settings)
        for each in settings:
            folder = each.base_path.absolute()
            if folder not in remaining:
                message = f"{each.name}: base_path is not one that this server was started with"
                raise ServingError(grpc.StatusCode.PERMISSION_DENIED, message)
            remaining[folder] -= 1
            if remaining[folder] < 0:  # each would take the memory of a model
                message = f"{each.name}: base_path is served under another name too; this server was not started so"
                raise ServingError(grpc.StatusCode.PERMISSION_DENIED, message)
        async with self._changing:
            try:
                await self.manager.update(settings)
                for each in settings:
                    self._check_reloaded(each)
            except ServingError:
                await self.manager.update(self._reloaded or self._settings)
                raise
            self._reloaded = list(settings)
        self._log("reloaded", models=sorted(each.name for each in settings))

    def _check_reloaded(self, settings: ModelSettings) -> None:
        available = {version.number for version in self.manager.models[settings.name].available()}
        if not available:
            message = f"Some models did not become available: {{{settings.name}}}"
            raise ServingError(grpc.StatusCode.UNKNOWN, message)
        for label, number in settings.labels.items():
            if number not in available:
                message = f"label {label} of {settings.name}: version {number} is not available for inference"
                raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)

    async def _watch(self) -> None:
        last = ""
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            try:
                async with self._changing:
                    if self._reloaded is None:
                        # Read again each time: an export moves the label of its bundle.
                        self._settings = self._read_settings()
                    await self.manager.update(self._reloaded or self._settings)
                last = ""
            except (UserError, ServingError, OSError) as error:
                if str(error) != last:  # told once, not at each look
                    last = str(error)
                    self._log("not_updated", reason=last)
            except Exception as error:  # noqa: BLE001  a mistake of ours may not end the watch
                self._log.mistake(error, during="watch")

    async def close(self) -> None:
        """Refuses what is new, answers what is under way, and ends."""
        self._ending = True
        if started := bool(self._watching):
            self._log("ending")
        if self._watching:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._say_health(False)
        ends = [self._runner.cleanup()] if self._runner else []
        ends += [self._grpc.stop(self._options.drain_seconds)] if self._grpc else []
        await asyncio.gather(*ends)
        await self.monitor.close()
        await self.manager.close()
        self._scheduler.close()
        self._prediction.offload.close()
        if self._review:
            self._review.close()
        if self._webhook:
            await asyncio.get_running_loop().run_in_executor(None, self._webhook.close)
        if started:
            self._log("ended")
