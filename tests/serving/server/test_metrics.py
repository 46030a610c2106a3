"""What Prometheus reads: its own parser finds every figure under its name."""

from types import SimpleNamespace

import pytest
from grpc import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from kerasft.serving.server.metrics import Metrics

SEEN = {
    "drifted": True, "reference_rows": 40,
    "measures": {
        "tokens": {
            "rows": 9, "index": 0.5, "bound": 0.25,
            "bins": [{"bin": "below 1", "share": 0.25, "reference": 0.5}, {"bin": 'a"\n\\', "share": 0.75}],
        },
        "label": {"rows": 3, "bins": [{"bin": "a", "share": 1.0}]},
    },
}  # fmt: skip


@pytest.fixture
def metrics():
    return Metrics()


def read(metrics):
    families = text_string_to_metric_families(metrics.page().decode())
    return {(each.name, *sorted(each.labels.values())): each.value for family in families for each in family.samples}


def test_requests_and_batches_are_counted(metrics):
    metrics.request("REST", "predict", "m", StatusCode.OK, 0.02)
    metrics.request("REST", "predict", "m", StatusCode.OK, 0.2)
    metrics.request("GRPC", "predict", "", StatusCode.NOT_FOUND, 0.1)
    metrics.batch(rows=5, requests=2, seconds=0.1)
    metrics.queued(7)
    found = read(metrics)
    assert found["kerasft_requests_total", "OK", "REST", "m", "predict"] == 2
    assert found["kerasft_requests_total", "", "GRPC", "NOT_FOUND", "predict"] == 1
    assert found["kerasft_request_seconds_bucket", "0.025", "REST", "m", "predict"] == 1
    assert found["kerasft_request_seconds_sum", "REST", "m", "predict"] == pytest.approx(0.22)
    assert found["kerasft_batch_rows_sum",] == 5 and found["kerasft_batch_requests_sum",] == 2
    assert found["kerasft_queue_rows",] == 7
    assert found["process_resident_memory_bytes",] > 2**20


def test_versions_and_drift_are_those_of_the_moment(metrics):
    manager = SimpleNamespace(describe=lambda: {"m": {1: "END", 2: "AVAILABLE"}})
    metrics.watch(manager, SimpleNamespace(describe=lambda: {"m": {2: SEEN}}))
    metrics.watched(10, 5)
    metrics.alert("m")
    metrics.hook("failed")
    found = read(metrics)
    assert found["kerasft_model_version", "1", "END", "m"] == found["kerasft_model_version", "2", "AVAILABLE", "m"] == 1
    assert found["kerasft_drift", "2", "m"] == 1 and found["kerasft_reference_rows", "2", "m"] == 40
    assert (
        found["kerasft_drift_index", "2", "m", "tokens"] == 0.5
        and found["kerasft_drift_bound", "2", "m", "tokens"] == 0.25
    )
    assert found["kerasft_window_rows", "2", "label", "m"] == 3
    assert found["kerasft_window_share", "2", "below 1", "m", "tokens"] == 0.25
    assert found["kerasft_window_share", "2", 'a"\n\\', "m", "tokens"] == 0.75  # a label may be anything
    assert ("kerasft_drift_index", "2", "label", "m") not in found  # nothing to compare with
    assert found["kerasft_watched_rows_total", "yes"] == 10 and found["kerasft_watched_rows_total", "no"] == 5
    assert found["kerasft_drift_alerts_total", "m"] == found["kerasft_drift_webhooks_total", "failed"] == 1
