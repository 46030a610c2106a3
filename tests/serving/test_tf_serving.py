"""The printed commands survive a shell and say in JSON what was meant."""

import json
import shlex
import subprocess
import sys

import pytest

from kerasft.serving.tf_serving import IMAGE, ask_command, serve_commands

AWKWARD = "it's \"5 $HOME `x` \\ \n\t\x00 你好 🐍"


def commands(text):
    return [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]


def test_serve_commands(tmp_path, monkeypatch):
    folder = tmp_path / "my models" / "reuters-r8"
    docker, server = commands(serve_commands(folder, "reuters-r8"))
    assert docker[:2] == ["docker", "run"]
    assert docker[docker.index("-p") + 1] == "8501:8501"
    assert docker[docker.index("-v") + 1] == f"{folder}:/models/reuters-r8:ro"
    assert docker[docker.index("-e") + 1] == "MODEL_NAME=reuters-r8"
    assert docker[-1] == IMAGE
    assert server[0] == "tensorflow_model_server"
    assert {"--rest_api_port=8501", "--model_name=reuters-r8", f"--model_base_path={folder}"} <= set(server)


def test_a_relative_folder_becomes_absolute(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    docker, server = commands(serve_commands(Path("saved_models/a"), "a"))
    assert docker[docker.index("-v") + 1] == f"{tmp_path}/saved_models/a:/models/a:ro"
    assert f"--model_base_path={tmp_path}/saved_models/a" in server


def test_a_folder_with_a_colon_is_mounted_whole(tmp_path):
    folder = tmp_path / "a:b, c"
    docker, _ = commands(serve_commands(folder, "a"))
    assert "-v" not in docker
    mount = docker[docker.index("--mount") + 1]
    assert mount == f'type=bind,"source={folder}",target=/models/a,readonly'


@pytest.mark.parametrize("method", ["predict", "classify", "regress"])
def test_ask_command(method):
    texts = {"text": AWKWARD, "text_pair": ""}
    curl, flag, body, url = shlex.split(ask_command("reuters-r8", texts, method))
    assert (curl, flag) == ("curl", "-d")
    assert url == f"http://localhost:8501/v1/models/reuters-r8:{method}"
    if method == "predict":
        assert json.loads(body) == {"instances": [texts]}
    else:
        assert json.loads(body) == {"signature_name": method, "examples": [texts]}
    assert "你好" in body  # as a person wrote it


def test_a_real_shell_passes_the_body_through():
    command = ask_command("a", {"text": AWKWARD}).replace("curl", "printf '%s\\0'", 1)
    said = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout.split(b"\0")
    assert json.loads(said[1]) == {"instances": [{"text": AWKWARD}]}


def test_a_lone_surrogate_can_be_printed():
    body = shlex.split(ask_command("a", {"text": "x\ud800y"}))[2]
    assert json.loads(body.encode("utf-8")) == {"instances": [{"text": "x?y"}]}


def test_no_tensorflow_is_imported():
    check = "import sys, kerasft.serving.tf_serving; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
