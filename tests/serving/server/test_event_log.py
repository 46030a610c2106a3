"""The log is one JSON object a line and quotes nobody, not by way of a library either."""

import io
import json
import logging

import pytest

from kerasft.serving.server.event_log import EventLog, Libraries


@pytest.fixture
def log():
    return EventLog(io.StringIO(), clock=lambda: 0.0)


def said(log):
    return [json.loads(line) for line in log._stream.getvalue().splitlines()]


def test_an_event_is_a_line(log):
    log("available", model="a\nb", version=2)
    assert said(log) == [{"at": "1970-01-01T00:00:00Z", "event": "available", "model": "a\nb", "version": 2}]


def test_a_mistake_is_told_by_its_place_and_not_by_its_message(log):
    try:
        int("anna@example.com")
    except ValueError as error:
        log.mistake(error, method="predict")
    (told,) = said(log)
    assert told["kind"] == "ValueError" and "test_event_log.py:" in told["places"][0]
    assert "anna" not in log._stream.getvalue()


@pytest.fixture
def libraries():
    before = {name: (logging.getLogger(name).handlers, logging.getLogger(name).propagate) for name in Libraries.LOGGERS}
    yield
    for name, (handlers, propagate) in before.items():
        logging.getLogger(name).handlers, logging.getLogger(name).propagate = handlers, propagate


def test_libraries_quote_nothing(log, libraries, capsys):
    Libraries(log, (KeyError,)).install()
    aiohttp = logging.getLogger("aiohttp.server")
    for error in (KeyError("anna@example.com"), ValueError("anna@example.com")):
        try:
            raise error
        except (KeyError, ValueError):
            aiohttp.exception("Error handling request from anna@example.com")
    logging.getLogger("grpc._server").warning("%s is too large", "anna@example.com")
    told = said(log)
    assert [each["event"] for each in told] == ["mistake", "library"]  # the KeyError is the client's
    assert told[0]["kind"] == "ValueError" and told[1]["name"] == "grpc._server"
    assert "anna" not in log._stream.getvalue() + "".join(capsys.readouterr())
