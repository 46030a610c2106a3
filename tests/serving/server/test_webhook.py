"""Alerts reach a hook, and a hook that is dead, slow or says no holds up nobody."""

import json
import socket
import threading
import time

import pytest

from kerasft.errors import UserError
from kerasft.serving.server.webhook import MOST_WAITING, Webhook, check_url

URLS = (
    "", "hooks.example.com/x", "file:///etc/passwd", "ftp://a/b", "http://", "https:///x", "http://a:x/", "http://a b/",
)  # fmt: skip


def posted(url, alerts, expected, **options):
    """What was told once so many outcomes were."""
    told, done = [], threading.Event()

    def tell(outcome):
        told.append(outcome)
        if len(told) == expected:
            done.set()

    webhook = Webhook(url, tell, pauses=(0.01, 0.01), **options)
    for number in range(alerts):
        webhook.post({"event": "drift", "number": number})
    assert done.wait(60)
    webhook.close()
    return told


def test_an_alert_arrives_once(hook):
    there = hook(204)
    assert posted(there.url, 2, 2) == ["delivered"] * 2
    assert [json.loads(body)["number"] for _, body in there.bodies] == [0, 1]
    assert {kind for kind, _ in there.bodies} == {"application/json"}


def test_it_is_tried_again_and_given_up(hook):
    recovering = hook(500, 503, 200)
    assert posted(recovering.url, 1, 1) == ["delivered"]
    assert len(recovering.bodies) == 3
    broken = hook(500)
    assert posted(broken.url, 1, 1) == ["failed"]
    assert len(broken.bodies) == 3


def test_a_redirect_is_not_followed(hook):
    elsewhere = hook(302)
    assert posted(elsewhere.url, 1, 1) == ["failed"]
    assert len(elsewhere.bodies) == 3


def test_nobody_there_and_no_http():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening
        assert posted(f"http://127.0.0.1:{taken.getsockname()[1]}/", 1, 1) == ["failed"]
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def garble():
            for _ in range(3):
                connection, _ = listening.accept()
                connection.recv(1000)
                connection.sendall(b"\x16\x03nonsense\r\n\r\n")
                connection.close()

        threading.Thread(target=garble, daemon=True).start()
        assert posted(f"http://127.0.0.1:{listening.getsockname()[1]}/", 1, 1) == ["failed"]


def test_a_hook_that_never_answers_takes_nobodys_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = []
        webhook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", told.append, timeout=600.0)
        start = time.monotonic()
        for number in range(MOST_WAITING + 10):
            webhook.post({"number": number})
        assert told.count("dropped") >= 9  # one may be on its way
        webhook.close(seconds=0.1)
        assert time.monotonic() - start < 300  # not the ten minutes of the attempt


@pytest.mark.parametrize("url", URLS)
def test_what_is_no_address_of_the_web_is_refused(url):
    with pytest.raises(UserError, match="--drift-webhook"):
        check_url(url)


def test_addresses():
    assert check_url("https://hooks.example.com:8443/x?y=z") and check_url("http://[::1]:9/")
