"""How a request ends is counted, and a mistake of ours is told by its place alone; without a model."""

import asyncio
import io
import json
from types import SimpleNamespace

import pytest
from grpc import StatusCode
from tensorflow_serving.apis.model_pb2 import ModelSpec

from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.prediction import Prediction
from kerasft.serving.server.requests import RequestLimits
from kerasft.serving.status import ServingError, invalid

SECRET = "anna@example.com"


class Counted(list):
    def request(self, entrypoint, method, model, code, seconds):
        assert seconds >= 0
        self.append((entrypoint, method, model, code))


@pytest.fixture
def made():
    said, counted = io.StringIO(), Counted()
    manager = SimpleNamespace(models={"m": None}, find=lambda *asked: asked)
    monitor = SimpleNamespace(observe=lambda *seen: None)
    return Prediction(manager, RequestLimits(), counted, EventLog(said), monitor), said, counted


def play(prediction, work, name="m"):
    return asyncio.run(prediction.observed("REST", "predict", name, work))


async def answer():
    return 7


async def refuse():
    raise invalid(SECRET)


async def fail():
    raise ValueError(SECRET)


async def leave():
    raise asyncio.CancelledError


def test_answers_and_refusals_are_counted_and_names_made_up_are_no_label(made):
    prediction, said, counted = made
    assert play(prediction, answer) == 7
    with pytest.raises(ServingError, match=SECRET):
        play(prediction, refuse, name=SECRET)
    assert counted == [("REST", "predict", "m", StatusCode.OK), ("REST", "predict", "", StatusCode.INVALID_ARGUMENT)]
    assert said.getvalue() == ""


def test_a_mistake_of_ours_is_internal_and_quotes_nothing(made):
    prediction, said, counted = made
    with pytest.raises(ServingError) as failed:
        play(prediction, fail)
    assert (failed.value.code, failed.value.message) == (StatusCode.INTERNAL, "internal error")
    event = json.loads(said.getvalue())
    assert event["event"] == "mistake" and event["kind"] == "ValueError" and "test_prediction.py" in event["places"][-1]
    assert SECRET not in said.getvalue() and counted[0][-1] is StatusCode.INTERNAL


def test_a_client_that_leaves_is_counted_as_cancelled(made):
    prediction, _, counted = made
    with pytest.raises(asyncio.CancelledError):
        play(prediction, leave)
    assert counted[0][-1] is StatusCode.CANCELLED


def test_a_spec_means_a_version_a_label_or_the_newest(made):
    prediction = made[0]
    spec = ModelSpec(name="m")
    assert prediction.find(spec) == ("m", None, None)
    spec.version.value = 0
    assert prediction.find(spec) == ("m", 0, None)
    assert prediction.find(ModelSpec(name="m", version_label="stable")) == ("m", None, "stable")


def test_metadata_is_of_signatures_alone(made):
    for fields, expected in (([], "at least one metadata_field"), (["signature_def", "x"], "field x is not supported")):
        with pytest.raises(ServingError, match=expected):
            made[0].metadata(ModelSpec(name="m"), fields)
