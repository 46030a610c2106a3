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

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ASKED = ("entrypoint", "method", "model")


class Metrics:
    """All figures of one server, in a registry of its own; `process_resident_memory_bytes` is the memory."""

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        made = {"namespace": "kerasft", "registry": self.registry}
        self._requests = Counter("requests", "Requests answered or refused, by status.", (*ASKED, "code"), **made)
        self._seconds = Histogram("request_seconds", "From headers to answer.", ASKED, buckets=SECONDS, **made)
        self._rows = Histogram("batch_rows", "Rows of a batch.", buckets=ROWS, **made)
        self._together = Histogram("batch_requests", "Requests of a batch.", buckets=ROWS, **made)
        self._batch_seconds = Histogram("batch_seconds", "What a batch took in the model.", buckets=SECONDS, **made)
        self._queue = Gauge("queue_rows", "Rows that wait for a thread.", **made)

    def request(self, entrypoint: str, method: str, model: str, code: StatusCode, seconds: float) -> None:
        """One request is over. `model` is a name that is served, or empty: names that clients make up are no label."""
        asked = (entrypoint, method, model)
        self._requests.labels(*asked, code.name).inc()
        self._seconds.labels(*asked).observe(seconds)

    def batch(self, rows: int, requests: int, seconds: float) -> None:
        """One batch was run."""
        self._rows.observe(rows)
        self._together.observe(requests)
        self._batch_seconds.observe(seconds)

    def queued(self, rows: int) -> None:
        """So many rows wait now."""
        self._queue.set(rows)

    def watch(self, manager: Manager) -> None:
        """Tells the states of its versions, as they are when asked."""
        self.registry.register(_Versions(manager))

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
