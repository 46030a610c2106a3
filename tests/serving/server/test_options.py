"""What is given on the command line is what the server is made with; the rest has its default."""

from pathlib import Path

import pytest

from kerasft import serve
from kerasft.errors import UserError
from kerasft.serving.server.access import Tls
from kerasft.serving.server.batching import BatchLimits
from kerasft.serving.server.options import Options, from_arguments
from kerasft.serving.server.requests import RequestLimits
from kerasft.serving.server.watch import MonitorLimits

# Every option of the program, and what it becomes.
GIVEN = {
    "--host 0.0.0.0 --rest-port 0 --grpc-port 1": {"host": "0.0.0.0", "rest_port": 0, "grpc_port": 1},
    "--max-body-bytes 1 --max-header-bytes 2 --max-requests 3": {"body_bytes": 1, "header_bytes": 2, "requests": 3},
    "--header-seconds 1 --body-seconds 2 --answer-seconds 3": {
        "header_seconds": 1, "body_seconds": 2, "answer_seconds": 3,
    },
    "--poll-seconds 4 --drain-seconds 5 --log-texts": {"poll_seconds": 4, "drain_seconds": 5, "log_texts": True},
    "--tls-cert c --tls-key k --client-ca a": {"tls": Tls(Path("c"), Path("k"), Path("a"))},
    "--token-file t --engine auto": {"token_file": Path("t"), "engine": "auto"},
    "--batch-rows 1 --batch-threads 2 --queue-rows 3": {"batch": BatchLimits(rows=1, threads=2, queued_rows=3)},
    "--max-rows 7 --max-text-bytes 8": {"request": RequestLimits(7, 8)},
    "--monitor-rows-per-second 0 --monitor-window 500 --monitor-least 9": {
        "monitor": MonitorLimits(window=500, least=9, rate=0),
    },
    "--drift-threshold 0.1 --drift-cooldown-seconds 60 --drift-webhook http://h/": {
        "monitor": MonitorLimits(threshold=0.1, cooldown=60, webhook="http://h/"),
    },
}  # fmt: skip


@pytest.fixture
def options(monkeypatch):
    """Returns a function: a command line -> the options that it makes."""

    def parse(line):
        asked = []
        monkeypatch.setattr(serve, "serve", lambda args: asked.append(args) or 0)
        assert serve.main(line.split()) == 0
        return from_arguments(vars(asked[0]))

    return parse


@pytest.mark.parametrize("line", GIVEN)
def test_every_option_reaches_the_server(options, line):
    assert options(f"a/b {line}") == Options(folders=(Path("a/b"),), **GIVEN[line])


def test_models_of_a_file(options):
    assert options("--model-config-file m.config") == Options(config_file=Path("m.config"))


def test_a_window_that_is_never_full_enough_is_refused(options):
    with pytest.raises(UserError, match="--monitor-least: 200 rows are more than the window has; give at most"):
        options("a --monitor-window 100")


@pytest.mark.parametrize("value", ["0", "-1", "x", "nan", "inf"])
def test_a_threshold_is_a_number_above_0(value, capsys):
    with pytest.raises(SystemExit, match="2"):
        serve.main(["a", f"--drift-threshold={value}"])
    assert "--drift-threshold" in capsys.readouterr().err
