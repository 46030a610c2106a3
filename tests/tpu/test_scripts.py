"""The scripts for Cloud TPU VMs, with a stand-in for gcloud that writes down what it was asked. No TPU takes part."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for path in (ROOT / "tpu").glob("*.sh") if path.name != "lib.sh")
PLACE = ["--zone", "us-west4-a"]
STAND_IN = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["LOG"], "a") as log:
    log.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
sys.exit(7 if os.environ["FAIL"] in " ".join(sys.argv) else 0)
"""


@pytest.fixture
def cloud(tmp_path):
    """Returns a function that runs a command with stand-ins on PATH: (completed process, commands they were given)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gcloud", "tar", "rm", "mkdir"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    log = tmp_path / "log"

    def run(*command, fail="no command of ours", path=f"{folder}{os.pathsep}{os.environ['PATH']}"):
        log.write_text("")
        environment = {**os.environ, "PATH": path, "LOG": str(log), "FAIL": fail}
        done = subprocess.run(
            [*map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )
        return done, [json.loads(line) for line in log.read_text().splitlines()]

    return run


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "my config.yaml"
    path.write_text("name: x\n")
    return path


def script(name):
    return ROOT / "tpu" / f"{name}.sh"


def happy(config):
    """Every script with arguments that are right."""
    place = ["my-tpu", *PLACE, "--project", "my-project"]
    return [
        ("create", [*place, "--type", "v5e-8"]),
        ("create", [*place, "--type=v4-32", "--mode=spot"]),
        ("create", [*place, "--type", "v6e-8", "--mode", "queued-spot", "--version", "mine"]),
        ("setup", place),
        ("train", [*place, "--config", config, "--", "name=it's two words", "training.steps=3"]),
        ("train", [*place, "--config", config, "--data", config.parent, "--slice", "--resume"]),
        ("watch", [*place, "--lines", "5", "--follow"]),
        ("watch", [*place, "--queued"]),
        ("fetch", [*place, "--run", "reuters-r8", "--to", config.parent / "my results"]),
        ("fetch", [*place, "--run", "reuters-r8", "--checkpoints"]),
        ("delete", place),
        ("delete", [*place, "--queued", "--yes"]),
    ]


def test_there_are_scripts():
    assert [path.stem for path in SCRIPTS] == ["create", "delete", "fetch", "setup", "train", "watch"]


@pytest.mark.parametrize("case", range(12))
def test_a_dry_run_shows_what_a_run_does_and_does_nothing(cloud, config, case):
    name, arguments = happy(config)[case]
    shown, nothing = cloud(script(name), "--dry-run", *arguments)
    assert (shown.returncode, shown.stderr, nothing) == (0, "", [])
    done, ran = cloud(script(name), *arguments)
    assert done.returncode == 0, done.stderr
    assert ran
    assert cloud("bash", "-c", shown.stdout)[1] == ran  # what is shown can be pasted into a shell


def test_create(cloud):
    place = ["my-tpu", "--zone=us-west4-a"]
    command = ["gcloud", "compute", "tpus", "tpu-vm", "create", *place]
    _, ran = cloud(script("create"), "my-tpu", *PLACE, "--type", "v5e-8")
    assert ran == [[*command, "--accelerator-type=v5litepod-8", "--version=v2-alpha-tpuv5-lite"]]
    _, ran = cloud(script("create"), "my-tpu", *PLACE, "--type", "v4-32", "--mode", "spot")
    assert ran == [[*command, "--accelerator-type=v4-32", "--version=tpu-ubuntu2204-base", "--spot"]]
    refused, ran = cloud(script("create"), "my-tpu", *PLACE, "--type", "v6e-16")
    assert refused.returncode == 2 and "'v6e-16' has several hosts" in refused.stderr and not ran
    _, ran = cloud(script("create"), "my-tpu", *PLACE, "--type", "v6e-4", "--mode", "queued")
    command = ["gcloud", "compute", "tpus", "queued-resources", "create", "my-tpu", "--node-id=my-tpu", *place[1:]]
    assert ran == [[*command, "--accelerator-type=v6e-4", "--runtime-version=v2-alpha-tpuv6e"]]


def test_train_survives_names_with_spaces_and_quotes(cloud, config):
    _, ran = cloud(script("train"), "my-tpu", *PLACE, "--config", config, "--", "name=it's two words")
    made, copied, started = ran
    assert copied[5:8] == ["--recurse", str(config), "my-tpu:kerasft/job/"]
    command = started[-1].removeprefix("--command=")
    program = command[command.index(".venv") : command.index(" > job")]
    read = subprocess.run(["bash", "-c", f"printf '%s\\n' {program}"], capture_output=True, text=True, check=True)
    assert read.stdout.splitlines()[2:] == [
        "kerasft.train", "job/my config.yaml", "training.strategy=tpu", "name=it's two words"
    ]  # fmt: skip
    assert "TPU_NAME=local" in command
    assert {made[-2], copied[-1], started[-2]} == {"--worker=0"}


def test_on_a_slice_every_host_serves_and_the_first_drives_them(cloud, config):
    _, ran = cloud(script("train"), "my-tpu", *PLACE, "--config", config, "--slice")
    assert [next(word for word in command if word.startswith("--worker")) for command in ran] == [
        "--worker=0", "--worker=0", "--worker=all", "--worker=0"
    ]  # fmt: skip
    assert ".venv/bin/start_grpc_tpu_worker" in ran[2][-1]
    assert "TPU_NAME=$hosts TPU_LOAD_LIBRARY=0" in ran[3][-1]


def test_the_first_host_of_a_slice_finds_all_in_the_metadata(cloud, config, tmp_path):
    """What is run on host 0, here: curl gives what Google's metadata server would, and the training is a stand-in."""
    _, ran = cloud(script("train"), "my-tpu", *PLACE, "--config", config, "--slice")
    command = ran[-1][-1].removeprefix("--command=")
    host = tmp_path / "host"
    for name, text in {
        "bin/curl": "printf unknown:unknown:10.1.0.2,unknown:unknown:10.1.0.3",
        "kerasft/.venv/bin/python": 'echo "$TPU_NAME $TPU_LOAD_LIBRARY $2"',
    }.items():
        path = host / name
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    (host / "kerasft" / "job").mkdir()
    environment = {**os.environ, "PATH": f"{host / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", f"{command} wait"], cwd=host, env=environment, check=True, timeout=60)
    said = (host / "kerasft" / "job" / "train.log").read_text()
    assert said == "grpc://10.1.0.2:8470,grpc://10.1.0.3:8470 0 kerasft.train\n"
    assert (host / "kerasft" / "job" / "exit_code").read_text() == "0\n"


def test_a_failure_on_the_way_names_what_is_there_by_then(cloud):
    done, ran = cloud(script("setup"), "my-tpu", *PLACE, fail=" scp ")
    assert (done.returncode, len(ran)) == (7, 2)
    assert "left behind: my-tpu with a part of kerasft in ~/kerasft; run this again" in done.stderr


def test_without_gcloud(cloud, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "awk", "env"):
        (tools / tool).symlink_to(shutil.which(tool))
    done, _ = cloud(script("delete"), "my-tpu", *PLACE, path=str(tools))
    assert (done.returncode, done.stderr.partition(";")[0]) == (2, "error: gcloud: not found")


def test_shellcheck_finds_nothing():
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("no shellcheck; pip install 'kerasft[test]'")
    command = [shellcheck, "--external-sources", "--source-path", str(ROOT), *map(str, (ROOT / "tpu").glob("*.sh"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == ""
