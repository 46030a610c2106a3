"""What the server tells Prometheus: requests, errors, latencies, batches, the queue, versions, memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from grpc import StatusCode
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from kerasft.serving.server.manager import Manager
    from kerasft.serving.server.monitor import Monitor

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ASKED = ("entrypoint", "method", "model")


class Metrics:
    """All figures of one server, in a registry of its own; `process_resident_memory_bytes` is the memory."""

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        common = {"namespace": "kerasft", "registry": self.registry}
        self._requests = Counter("requests", "Requests answered or refused, by status.", (*ASKED, "code"), **common)
        self._seconds = Histogram("request_seconds", "From headers to answer.", ASKED, buckets=SECONDS, **common)
        self._rows = Histogram("batch_rows", "Rows of a batch.", buckets=ROWS, **common)
        self._together = Histogram("batch_requests", "Requests of a batch.", buckets=ROWS, **common)
        self._batch_seconds = Histogram("batch_seconds", "What a batch took in the model.", buckets=SECONDS, **common)
        self._queue = Gauge("queue_rows", "Rows that wait for a thread.", **common)
        self._watched = Counter("watched_rows", "Rows that the monitor counted, or left out.", ("counted",), **common)
        about = ("model", "filter", "side", "action")
        self._filtered = Counter("filtered_texts", "Texts that a filter found something in.", about, **common)
        self._alerts = Counter("drift_alerts", "Alerts for drift.", ("model",), **common)
        self._hooks = Counter(
            "drift_webhooks", "Alerts for the webhook, by what became of them.", ("outcome",), **common
        )

    def request(self, entrypoint: str, method: str, model: str, code: StatusCode, seconds: float) -> None:
        """One request is over. `model` is a name that is served, or empty: names that clients make up are no label."""
        labels = (entrypoint, method, model)
        self._requests.labels(*labels, code.name).inc()
        self._seconds.labels(*labels).observe(seconds)

    def batch(self, rows: int, requests: int, seconds: float) -> None:
        """One batch was run."""
        self._rows.observe(rows)
        self._together.observe(requests)
        self._batch_seconds.observe(seconds)

    def queued(self, rows: int) -> None:
        """So many rows wait now."""
        self._queue.set(rows)

    def watched(self, rows: int, skipped: int) -> None:
        """The monitor took so many rows of an answer, and left out others."""
        self._watched.labels("yes").inc(rows)
        self._watched.labels("no").inc(skipped)

    def filtered(self, model: str, name: str, side: str, action: str) -> None:
        """A filter found something in a text; from any thread."""
        self._filtered.labels(model, name, side, action).inc()

    def alert(self, model: str) -> None:
        """A model drifts."""
        self._alerts.labels(model).inc()

    def hook(self, outcome: str) -> None:
        """An alert was delivered or not; from any thread."""
        self._hooks.labels(outcome).inc()

    def watch(self, manager: Manager, monitor: Monitor) -> None:
        """Tells the states of its versions and what the monitor sees, as they are when asked."""
        self.registry.register(_Versions(manager))
        self.registry.register(_Drift(monitor))

    def page(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


class _Versions(Collector):
    def __init__(self, manager: Manager):
        self._manager = manager

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "kerasft_model_version", "1 for each version's state.", None, ("model", "version", "state")
        )
        for name, versions in self._manager.describe().items():
            for number, state in versions.items():
                family.add_metric((name, str(number), state), 1)
        yield family

    def describe(self) -> list[GaugeMetricFamily]:
        return []


class _Drift(Collector):
    def __init__(self, monitor: Monitor):
        self._monitor = monitor

    def collect(self) -> Iterator[GaugeMetricFamily]:
        version, measure = ("model", "version"), ("model", "version", "measure")
        drifted = GaugeMetricFamily("kerasft_drift", "1 where a version drifts.", None, version)
        reference = GaugeMetricFamily("kerasft_reference_rows", "Rows it is compared with; 0: none.", None, version)
        rows = GaugeMetricFamily("kerasft_window_rows", "Newest rows that are compared.", None, measure)
        index = GaugeMetricFamily("kerasft_drift_index", "Population stability index.", None, measure)
        bound = GaugeMetricFamily("kerasft_drift_bound", "The index that is a drift.", None, measure)
        share = GaugeMetricFamily("kerasft_window_share", "Share of a bin in the window.", None, (*measure, "bin"))
        for name, versions in self._monitor.describe().items():
            for number, description in versions.items():
                about = (name, str(number))
                drifted.add_metric(about, description["drifted"])
                reference.add_metric(about, description["reference_rows"] or 0)
                for key, figures in description["measures"].items():
                    rows.add_metric((*about, key), figures["rows"])
                    for each in figures["bins"]:
                        share.add_metric((*about, key, each["bin"]), each["share"])
                    if "index" in figures:
                        index.add_metric((*about, key), figures["index"])
                        bound.add_metric((*about, key), figures["bound"])
        yield from (drifted, reference, rows, index, bound, share)

    def describe(self) -> list[GaugeMetricFamily]:
        return []
