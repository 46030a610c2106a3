"""What TPU_NAME names, and hosts that do not answer. No TPU takes part; a slice is imitated in tests/distributed."""

import socket

import pytest

from kerasft.distribution.tpu import await_hosts, slice_hosts
from kerasft.errors import UserError


def test_a_name_holds_the_addresses_of_a_slice():
    assert slice_hosts("grpc://10.1.0.2:8470,grpc://10.1.0.3:8470") == ["10.1.0.2:8470", "10.1.0.3:8470"]
    assert slice_hosts("local") == slice_hosts("my-tpu") == []


@pytest.mark.parametrize("name", ["grpc://10.1.0.2", "grpc://:8470", "grpc://10.1.0.2:8470,", "grpc://a:99999"])
def test_what_is_no_address_is_refused(name):
    with pytest.raises(UserError, match="TPU_NAME: .* is not HOST:PORT"):
        slice_hosts(name)


def test_a_host_that_does_not_answer_is_named():
    with socket.create_server(("127.0.0.1", 0)) as here, socket.create_server(("127.0.0.1", 0)) as gone:
        hosts = [f"127.0.0.1:{server.getsockname()[1]}" for server in (here, gone)]
        gone.close()
        with pytest.raises(UserError, match=f"host 1 of 2, {hosts[1]}, does not answer after 0 s"):
            await_hosts(hosts, 0.0)


def test_hosts_that_come_late_are_waited_for(monkeypatch):
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        monkeypatch.setattr("kerasft.distribution.tpu.time.sleep", lambda seconds: late.listen())
        await_hosts([f"127.0.0.1:{late.getsockname()[1]}"], 30.0)
