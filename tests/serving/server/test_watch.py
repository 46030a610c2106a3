"""What one version's watch takes in, and what it makes of an export that is not as expected."""

import json

import numpy as np
import pytest

from kerasft.serving.drift.index import Drift
from kerasft.serving.server.watch import FILE, MonitorLimits, Watch


def folder_with(tmp_path, text):
    (tmp_path / FILE).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / FILE).write_text(text)
    return tmp_path


def watch_of(tmp_path, reference=None, **limits):
    facts = {"task": {"name": "text_classification"}, "labels": ["a", "b"], "state": {}, "reference": reference}
    return Watch(folder_with(tmp_path, json.dumps(facts)), MonitorLimits(**limits))


LABELS = {"rows": 40, "measures": {"label": {"labels": ["a", "b"], "counts": [20, 20, 0, 0], "rows": 40}}}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"labels": null, "state": {}, "reference": {"measures": {"a": 1}}}'])
def test_what_is_no_export_of_ours_is_not_watched(tmp_path, text):
    watch = Watch(folder_with(tmp_path, text), MonitorLimits())
    assert not watch.watching and "not that of an export" in watch.reason


def test_rows_are_admitted_at_the_rate(tmp_path):
    watch = watch_of(tmp_path, rate=10)
    assert watch.admit(25, 100.0) == 10  # what a second gives, at most
    assert watch.admit(25, 100.0) == 0
    assert watch.admit(25, 100.5) == 5
    assert watch.admit(2, 200.0) == 2 and watch.admit(25, 200.0) == 8


def test_a_look_comes_due_twenty_times_a_window(tmp_path):
    watch = watch_of(tmp_path, LABELS, window=200)
    due = [watch.add({"label": [(0,)] * 5}) for _ in range(40)]
    assert sum(due) == 20


def test_nothing_is_compared_before_the_least_rows(tmp_path):
    watch = watch_of(tmp_path, LABELS, window=100, least=50)
    watch.add({"label": [(1,)] * 49})
    assert watch.look() == {}
    watch.add({"label": [(1,)]})
    assert watch.look()["label"].index > watch.look()["label"].bound
    watch.judge(watch.look())
    alert = watch.alert()["label"]
    assert alert["changes"][0] in (
        {"bin": "a", "share": 0.0, "reference": 0.5}, {"bin": "b", "share": 1.0, "reference": 0.5},
    )  # fmt: skip


def test_a_drift_is_over_only_when_all_is_calm(tmp_path):
    watch = watch_of(tmp_path)
    over, between, calm = (Drift(index, 0.25, 0.15) for index in (0.3, 0.2, 0.1))
    assert not watch.judge({"label": between})
    assert watch.judge({"label": over, "tokens": calm})
    watch.alerted = True
    assert watch.judge({"label": between, "tokens": calm}) and watch.alerted
    assert not watch.judge({"label": calm, "tokens": calm}) and not watch.alerted


def test_memory_does_not_grow_with_rows(tmp_path):
    watch = watch_of(tmp_path, window=100)
    for _ in range(50):
        watch.add({"label": [(0, 1)] * 20, "tokens": [(3,)] * 20})
    assert len(watch.windows["label"]) == len(watch.windows["label"]._rows) == 100
    assert watch.windows["label"].counts.tolist() == [100, 100, 0, 0]
    assert isinstance(watch.windows["label"].counts, np.ndarray)
