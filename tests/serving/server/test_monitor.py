"""A stream like that of the reference alerts nobody, another one does, once; and nothing of it costs a request."""

import json
import socket
import time

import numpy as np
import pytest
from tiny_models import export_tiny, make_tiny

from kerasft.data.tables.table import Table
from kerasft.serving.drift.reference import make_reference
from kerasft.serving.server.loaded_model import LoadedModel
from kerasft.serving.server.watch import MonitorLimits

PREDICT = "/v1/models/single_label:predict"
METRICS = "/monitoring/prometheus/metrics"
SECRET = "zzsecret"
WORDS = "goal match team score coach bank market stock price trade the a of in and".split()
AT_ONCE = 50


def usual(random, count):
    return [" ".join(random.choice(WORDS, random.integers(2, 12))) for _ in range(count)]


def shifted(random, count):
    """Longer, and half of it in words that the vocabulary cannot spell."""
    return [" ".join(f"{text} {SECRET} 世界 世界" for text in usual(random, 3)) for _ in range(count)]


@pytest.fixture(scope="module")
def known(tiny_preset, tmp_path_factory):
    """A model with a reference of 600 texts."""
    folder = tmp_path_factory.mktemp("known") / "single_label"
    export_tiny(tiny_preset, "single_label", folder / "1")
    texts = usual(np.random.default_rng(0), 600)
    task, preprocessor, _ = make_tiny(tiny_preset, "single_label")
    table = Table.from_rows([{"text": text, "label": "sport", "where": "x:1"} for text in texts], task.schema())
    served = LoadedModel(folder / "1")
    answers = served.run("serving_default", {"text": np.array([text.encode() for text in texts], object)})
    served.close()
    file = folder / "1" / "assets.extra" / "kerasft.json"
    facts = json.loads(file.read_text()) | {"reference": make_reference(task, preprocessor, table, [answers])}
    file.write_text(json.dumps(facts))
    return folder


def limits(**more):
    return MonitorLimits(**{"window": 200, "least": 100, "rate": 10**6, **more})


def drift(running):
    return running.rest("/monitoring/drift")[1].get("single_label", {}).get("1")


def metrics(running):
    connection = running.http()
    connection.request("GET", METRICS)
    return connection.getresponse().read().decode()


def watched(running):
    """Rows that were counted or left out so far."""
    page = metrics(running)
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith("kerasft_watched_rows_total"))


def counted(running):
    """Rows and bins of each measure, without the index: that is of the last look, which may be some rows ago."""
    return {name: (each["rows"], each["bins"]) for name, each in drift(running)["measures"].items()}


def ask(running, texts):
    """Every one is answered; returns when the monitor has seen them."""
    running.until(lambda: drift(running))
    before = watched(running)
    for start in range(0, len(texts), AT_ONCE):
        assert running.rest(PREDICT, {"instances": texts[start : start + AT_ONCE]})[0] == 200
    assert watched(running) == before + len(texts)
    monitor = running.server.monitor
    running.until(lambda: monitor._queue.empty() and not monitor._bytes)


def test_what_is_usual_alerts_nobody_and_a_shift_does_once(start, known, hook):
    random, there = np.random.default_rng(1), hook(200)
    with start(known, monitor=limits(webhook=there.url)) as running:
        for _ in range(4):
            ask(running, usual(random, 200))
            found = drift(running)
            assert not found["drifted"] and found["reference_rows"] == 600
        assert set(found["measures"]) == {"label", "confidence", "tokens", "unknown_share"}
        assert all(0 <= each["index"] < each["bound"] for each in found["measures"].values())
        assert all(each["rows"] == 200 for each in found["measures"].values())
        shares = [each["share"] for each in found["measures"]["label"]["bins"]]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert not running.told("drift") and not there.bodies

        for _ in range(3):
            ask(running, shifted(random, 200))
        running.until(lambda: there.bodies)
        running.until(lambda: running.told("drift"))
        assert drift(running)["drifted"]
        page = metrics(running)
        assert 'kerasft_drift{model="single_label",version="1"} 1.0' in page
        assert 'kerasft_drift_alerts_total{model="single_label"} 1.0' in page
        assert 'kerasft_window_share{bin="from 0.5",measure="unknown_share"' in page
        ask(running, usual(random, 400))
        running.until(lambda: running.told("drift_over"))
        ask(running, shifted(random, 200))  # within the cooldown of the first
        running.until(lambda: drift(running)["drifted"])
    assert len(running.told("drift")) == len(there.bodies) == 1
    alert = json.loads(there.bodies[0][1])
    assert (alert["event"], alert["model"], alert["version"]) == ("drift", "single_label", 1)
    assert {"tokens", "unknown_share"} <= set(alert["measures"])
    worst = alert["measures"]["unknown_share"]
    assert worst["index"] > worst["bound"] and worst["changes"][0]["bin"] in ("0.2-0.5", "from 0.5", "below 1e-09")
    for said in (there.bodies[0][1].decode(), running.said.getvalue(), page):
        assert SECRET not in said and "世" not in said and "secret" not in said


def test_after_the_cooldown_another_drift_is_told(start, known, hook):
    random, there = np.random.default_rng(1), hook(200)
    with start(known, monitor=limits(webhook=there.url, cooldown=0.001)) as running:
        for _ in range(2):
            ask(running, shifted(random, 200))
            running.until(lambda: drift(running)["drifted"])
            ask(running, usual(random, 400))
            running.until(lambda: not drift(running)["drifted"])
        running.until(lambda: len(there.bodies) == 2)
    assert len(running.told("drift")) == len(running.told("drift_over")) == 2


def test_a_dead_hook_fails_no_request(start, known):
    random = np.random.default_rng(1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        with start(known, monitor=limits(webhook=url)) as running:
            ask(running, shifted(random, 300))  # asserts that each is answered
            running.until(lambda: running.told("drift"))
            ask(running, usual(random, 100))
            ended = time.monotonic()
        assert time.monotonic() - ended < 60  # nor does it hold up the end


def test_classify_is_watched_as_predict_is(start, known):
    with start(known, monitor=limits()) as running:
        running.until(lambda: drift(running))
        texts = usual(np.random.default_rng(2), 120)
        body = {"signature_name": "classify", "examples": [{"text": text} for text in texts]}
        assert running.rest("/v1/models/single_label:classify", body)[0] == 200
        running.until(lambda: drift(running)["measures"])
        by_classify = counted(running)
    with start(known, monitor=limits()) as running:
        ask(running, texts)
        running.until(lambda: counted(running) == by_classify)


def test_an_export_without_a_reference_is_watched_and_says_so(start, model_folder, hook):
    there = hook(200)
    with start(model_folder, monitor=limits(webhook=there.url)) as running:
        ask(running, shifted(np.random.default_rng(0), 250))
        running.until(lambda: drift(running)["measures"])
        found = drift(running)
        assert found["reference_rows"] is None and "no reference" in found["reason"]
        assert set(found["measures"]) == {"label", "confidence", "tokens", "unknown_share"}
        assert "index" not in found["measures"]["tokens"]
        page = metrics(running)
        assert 'kerasft_window_rows{measure="label",model="single_label",version="1"} 200.0' in page
        assert 'kerasft_reference_rows{model="single_label",version="1"} 0.0' in page
    assert running.told("watching")[0]["reference_rows"] is None and not there.bodies


def test_a_model_of_others_is_served_and_not_watched(start, model_folder):
    (model_folder / "1" / "assets.extra" / "kerasft.json").unlink()
    with start(model_folder, monitor=limits()) as running:
        running.until(lambda: drift(running))
        assert running.rest(PREDICT, {"instances": ["goal"]})[0] == 200
        assert not drift(running)["watching"] and drift(running)["measures"] == {}


def test_no_more_is_watched_than_the_rate_allows(start, known):
    with start(known, monitor=limits(rate=1)) as running:
        ask(running, usual(np.random.default_rng(0), 150))
        page = metrics(running)
    counted = float(next(line for line in page.splitlines() if 'rows_total{counted="yes"}' in line).split()[-1])
    assert 1 <= counted < 100


def test_nothing_is_watched_where_the_rate_is_none(start, known):
    with start(known, monitor=limits(rate=0)) as running:
        assert running.rest(PREDICT, {"instances": ["goal"]})[0] == 200
        assert running.rest("/monitoring/drift") == (200, {})


def test_a_mistake_in_the_monitor_fails_no_request_and_is_told_once(start, known):
    with start(known, monitor=limits()) as running:
        running.until(lambda: drift(running))
        [watch] = running.server.monitor._watches.values()
        watch._bins = None
        for _ in range(3):
            assert running.rest(PREDICT, {"instances": [SECRET]})[0] == 200
        running.until(lambda: running.told("mistake"))
        assert not drift(running)["watching"] and "TypeError" in drift(running)["reason"]
    assert len(running.told("mistake")) == 1 and SECRET not in running.said.getvalue()


def test_versions_that_go_are_forgotten(start, known, tmp_path):
    import shutil

    folder = tmp_path / "single_label"
    shutil.copytree(known, folder)
    with start(folder, monitor=limits()) as running:
        running.until(lambda: drift(running))
        shutil.copytree(folder / "1", folder / ".draft")
        (folder / ".draft").rename(folder / "2")
        running.until(lambda: list(running.rest("/monitoring/drift")[1].get("single_label", {})) == ["2"])
