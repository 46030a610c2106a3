"""`kerasft serve` as a user starts and ends it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from support.rarely import rarely
from tiny_export import LABELS, make_config, make_parts

from kerasft.serve import main
from kerasft.serving.exporter import save
from kerasft.tasks.text_classification.task import TextClassification

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved_models") / "tiny"
    save(*make_parts(TextClassification(make_config(), {"labels": LABELS})), path / "1")
    return path


def start(*args):
    command = [sys.executable, "-m", "kerasft.serve", *map(str, args), "--rest-port", "0", "--grpc-port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def until_ready(server):
    for line in server.stderr:
        event = json.loads(line)
        if event["event"] == "ready":
            return event
    raise AssertionError("it ended before it was ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, *rarely(signal.SIGINT)])
def test_it_answers_until_it_is_told_to_end(folder, number):
    server = start(folder)
    try:
        ready = until_ready(server)
        port = ready["rest_port"]
        grpc_port = ready["grpc_port"]
        first = f"open http://localhost:{port}/ in a browser; gRPC is on port {grpc_port}, Ctrl+C ends the server\n"
        assert server.stdout.readline() == first
        body = json.dumps({"instances": ["oil rose"]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/tiny:predict", body)
        with urllib.request.urlopen(request, timeout=60) as response:
            assert json.load(response)["predictions"][0]["label"] in LABELS
    finally:
        server.send_signal(number)
        out, err = server.communicate(timeout=120)
    assert server.returncode == 0 and out == ""
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["ending", "unloaded", "ended"]


def test_a_model_that_cannot_be_loaded_ends_the_program(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "tiny")
    for file in (tmp_path / "tiny" / "1" / "variables").iterdir():
        file.write_bytes(b"cut")
    server = start(tmp_path / "tiny")
    _, err = server.communicate(timeout=240)
    assert server.returncode == 1
    assert err.splitlines()[-1].startswith(f"error: {tmp_path / 'tiny' / '1'}: TensorFlow cannot load it")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], "give either saved_models/NAME (one or more) or --model-config-file FILE"),
        (["a", "--model-config-file", "b"], "give either saved_models/NAME"),
        (["nowhere"], "nowhere: no such folder"),
        (["a", "--tls-cert", "c.pem"], "--tls-cert, --tls-key: give both"),
        (["a", "--client-ca", "c.pem"], "--client-ca goes with them"),
        (["a", "--rest-port", "x"], "argument --rest-port: invalid"),
        (["a", "--batch-rows", "0"], "argument --batch-rows: invalid"),
        (["a", "--drift-webhook", "file:///etc/passwd"], "--drift-webhook: not an address; give http://HOST/"),
        (["a", "--monitor-least", "2000"], "--monitor-least: 2000 rows are more than the window has"),
        (["a", "--token-file", "none"], "--token-file: none: No such file"),
        (["--model-config-file", "none"], "none: No such file"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, args, expected):
    monkeypatch.chdir(tmp_path)
    try:
        code = main([*args])
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr().err.splitlines()
    assert code == 2 and expected in told[-1]
    assert len(told) == 1
