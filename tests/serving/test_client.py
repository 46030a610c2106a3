"""A client asks as REST and as gRPC alike, tries again where that helps, and keeps its deadline."""

import socket
import time

import pytest
from grpc import StatusCode

from kerasft.inference.remote import Remote, read_token
from kerasft.serving import Client, ServingError


class Flaky:
    """A transport that fails with these codes, one an attempt, and then answers."""

    def __init__(self, *codes):
        self.codes, self.timeouts = list(codes), []

    def versions(self, which, timeout):
        self.timeouts.append(timeout)
        if self.codes:
            raise ServingError(self.codes.pop(0), "no")
        return {1: "AVAILABLE"}

    def close(self):
        pass


def ask(*codes, **options):
    client = Client("http://localhost:1", **options)
    client._transport = transport = Flaky(*codes)
    try:
        return client.versions("a"), transport
    except ServingError as error:
        return error.code, transport


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("kerasft.serving.client.random.uniform", lambda low, high: high / 1000)


def test_overload_is_tried_again():
    answer, transport = ask(StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)
    assert answer == {1: "AVAILABLE"} and len(transport.timeouts) == 3
    assert transport.timeouts == sorted(transport.timeouts, reverse=True)  # all attempts share one deadline


def test_attempts_end():
    answer, transport = ask(*[StatusCode.UNAVAILABLE] * 9, retries=2)
    assert answer is StatusCode.UNAVAILABLE and len(transport.timeouts) == 3


@pytest.mark.parametrize("code", [StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.DEADLINE_EXCEEDED])
def test_what_another_try_cannot_fix_is_told_at_once(code):
    answer, transport = ask(code)
    assert answer is code and len(transport.timeouts) == 1


def test_no_pause_goes_beyond_the_deadline(monkeypatch):
    monkeypatch.setattr("kerasft.serving.client.random.uniform", lambda low, high: 5.0)
    begun = time.monotonic()
    answer, transport = ask(StatusCode.UNAVAILABLE, timeout=1.0)
    assert answer is StatusCode.UNAVAILABLE and len(transport.timeouts) == 1
    assert time.monotonic() - begun < 4.0


@pytest.mark.parametrize("address", ["localhost:8500", "ftp://a", "http://", "http://host/v1/models/a"])
def test_addresses_of_another_form(address):
    with pytest.raises(ValueError, match="is no address of a server"):
        Client(address)


def test_nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        for scheme in ("http", "grpc"):
            with Client(f"{scheme}://127.0.0.1:{taken.getsockname()[1]}", retries=0, timeout=10.0) as client:
                with pytest.raises(ServingError) as failed:
                    client.predict("a", {"text": ["a"]})
                assert failed.value.code is StatusCode.UNAVAILABLE


def test_a_server_that_says_nothing_is_left_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.5) as client:
            with pytest.raises(ServingError) as failed:
                client.versions("a")
            assert failed.value.code is StatusCode.DEADLINE_EXCEEDED


def test_tokens_are_read_from_their_first_line(tmp_path):
    from kerasft.errors import UserError

    file = tmp_path / "token"
    file.write_text("abc \nnext\n")
    assert read_token(file) == "abc"
    file.write_text("\n")
    with pytest.raises(UserError, match="its first line is empty"):
        read_token(file)
    with pytest.raises(UserError, match="--token-file"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize("address", ["http://host", "http://host/v1/models/", "http://host/v1/models/a:predict"])
def test_a_remote_model_has_a_name(address):
    from kerasft.errors import UserError

    with pytest.raises(UserError, match="not a model on a server"):
        Remote(address)
