"""The files beside an export are what TensorFlow Serving, compose and Kubernetes read, and an operator's edits stay."""

import json
import os
import shlex
import subprocess

import kubernetes_validate
import pytest
import yaml
from google.protobuf.text_format import ParseError
from tensorflow_serving.config.file_system_storage_path_source_pb2 import FileSystemStoragePathSourceConfig

from kerasft.serving.bundle import contents, resources, write_bundle
from kerasft.serving.kubernetes import object_name
from kerasft.serving.server_messages import parse

MIB = 1024 * 1024
MEASURED = {
    "load_seconds": 1.5,
    "warm_up_seconds": 0.5,
    "one_short_seconds": 0.006,
    "one_long_seconds": 0.02,
    "largest_batch": 32,
    "largest_batch_seconds": 0.5,
    "largest_batch_cpu_seconds": 0.95,
    "empty_bytes": 300 * MIB,
    "loaded_bytes": 400 * MIB,
    "peak_bytes": 500 * MIB,
}
SAMPLE = {"text": "it's a text"}


@pytest.fixture
def directory(tmp_path):
    for version in ("1", "2"):
        extras = tmp_path / "my.Model" / version / "assets.extra"
        extras.mkdir(parents=True)
        (extras / "kerasft.json").write_text(json.dumps({"measured": MEASURED}))
    return tmp_path / "my.Model"


@pytest.fixture(scope="module")
def files():
    return contents("my.Model", 3, MEASURED, SAMPLE)


def test_models_config(files):
    [config] = parse("ModelServerConfig", files["models.config"]).model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == ("my.Model", "/models/my.Model", "tensorflow")
    assert config.model_version_policy == FileSystemStoragePathSourceConfig.ServableVersionPolicy(
        latest={"num_versions": 2}
    )
    assert dict(config.version_labels) == {"stable": 3}


def test_batching_and_monitoring_config(files):
    batching = parse("BatchingParameters", files["batching.config"])
    assert batching.max_batch_size.value == 32
    assert batching.batch_timeout_micros.value == 3000  # half of what a short text takes
    assert batching.num_batch_threads.value == 2
    assert batching.max_enqueued_batches.value > 0
    assert not batching.allowed_batch_sizes
    prometheus = parse("MonitoringConfig", files["monitoring.config"]).prometheus_config
    assert prometheus.enable and prometheus.path.startswith("/")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("BatchingParameters", "max_batch_size: 32"),  # wrapped values only
        ("BatchingParameters", "max_batch { value: 32 }"),
        ("MonitoringConfig", 'prometheus { path: "/" }'),
        ("SSLConfig", 'server_key_file: "server.key"'),
        ("ModelServerConfig", 'model_config_list { config { name: "a" path: "/b" } }'),
    ],
)
def test_a_mistake_in_a_configuration_file_is_found(message, text):
    with pytest.raises(ParseError):
        parse(message, text)


def test_the_flags_name_files_that_are_there(files):
    compose = yaml.safe_load(files["compose.yaml"])
    service = compose["services"]["serving"]
    deployment = next(yaml.safe_load_all(files["kubernetes.yaml"]))
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert service["command"] == container["args"]
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    prefix = "/models/my.Model/serving/"
    named = {value.removeprefix(prefix) for value in flags.values() if value.startswith("/")}
    assert named == {"models.config", "batching.config", "monitoring.config"} <= set(files)
    assert flags["enable_batching"] == flags["allow_version_labels_for_unavailable_models"] == "true"
    assert service["volumes"] == [{"type": "bind", "source": "..", "target": "/models/my.Model", "read_only": True}]
    assert container["volumeMounts"] == [{"name": "models", "mountPath": "/models/my.Model", "readOnly": True}]
    assert service["image"] == container["image"] == "tensorflow/serving:2.20.0"


def test_kubernetes_objects_fit_the_official_schemas_and_each_other(files):
    objects = {item["kind"]: item for item in yaml.safe_load_all(files["kubernetes.yaml"])}
    assert set(objects) == {"Deployment", "Service", "HorizontalPodAutoscaler"}
    for item in objects.values():
        kubernetes_validate.validate(item, "1.30", strict=True)
        assert item["metadata"]["name"] == "my-model"
    deployment = objects["Deployment"]["spec"]
    pod = deployment["template"]
    assert pod["metadata"]["labels"] == deployment["selector"]["matchLabels"] == objects["Service"]["spec"]["selector"]
    [container] = pod["spec"]["containers"]
    assert {port["targetPort"] for port in objects["Service"]["spec"]["ports"]} == {
        port["name"] for port in container["ports"]
    }
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "704Mi"},
        "limits": {"memory": "1088Mi"},
    }
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"].startswith("/v1/models/my.Model")
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-model"}


def test_a_mistake_in_a_manifest_would_be_found(files):
    deployment = next(yaml.safe_load_all(files["kubernetes.yaml"]))
    deployment["spec"]["templat"] = deployment["spec"].pop("template")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.30", strict=True)


def test_requests_come_from_what_was_measured():
    # 300 without a model, two models of 100, two batches of 100; up to a multiple of 64, and half as much again.
    assert resources(MEASURED) == {"cpus": 2, "memory_mib": 704, "memory_limit_mib": 1088}
    assert resources({**MEASURED, "largest_batch_cpu_seconds": 0.1})["cpus"] == 1


def test_the_compose_file_asks_the_server_for_its_health(files):
    [shell, flag, script] = yaml.safe_load(files["compose.yaml"])["services"]["serving"]["healthcheck"]["test"][1:]
    assert (shell, flag) == ("bash", "-c")
    assert subprocess.run(["bash", "-n", "-c", script]).returncode == 0
    assert "$" not in script.replace("$$", "")


def test_the_readme_has_the_measured_figures_and_commands_a_shell_reads(files):
    readme = files["README.md"]
    for figure in ("1.5 s", "6.0 ms", "500 ms, 0.9 s of CPU", "400 MiB", "704 MiB", "1088 MiB"):
        assert figure in readme, figure
    blocks = readme.split("```sh\n")[1:]
    scripts = [block.split("```")[0] for block in blocks]
    for script in scripts:
        assert subprocess.run(["sh", "-n", "-c", script]).returncode == 0
    [docker] = [line for line in scripts[1].replace("\\\n", "").splitlines() if line.startswith("docker run")]
    assert [word for word in shlex.split(docker) if word.startswith("--enable_batching")]


def test_the_readmes_command_for_tls_gives_what_the_server_reads(files, tmp_path):
    script = next(part.split("```")[0] for part in files["README.md"].split("```sh\n") if part.startswith("openssl"))
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    config = parse("SSLConfig", (tmp_path / "ssl.config").read_text())
    assert config.server_key == (tmp_path / "server.key").read_text()
    assert config.server_cert == (tmp_path / "server.crt").read_text()
    assert not config.client_verify
    assert (tmp_path / "ssl.config").stat().st_mode & 0o077 == 0


def test_a_new_version_moves_the_label_and_an_edited_file_stays(directory):
    assert write_bundle(directory, "my.Model", 1, SAMPLE) == []
    folder = directory / "serving"
    edited = (folder / "batching.config").read_text().replace("value: 32", "value: 64")
    (folder / "batching.config").write_text(edited)
    assert write_bundle(directory, "my.Model", 2, SAMPLE) == ["batching.config"]
    assert "value: 2" in (folder / "models.config").read_text()
    assert (folder / "batching.config").read_text() == edited
    assert "value: 32" in (folder / "batching.config.new").read_text()
    (folder / "batching.config").unlink()  # the operator gives up the own one
    assert write_bundle(directory, "my.Model", 2, SAMPLE) == []
    assert "value: 32" in (folder / "batching.config").read_text()
    assert not list(folder.glob("*.new"))


def test_of_two_exports_at_once_the_newer_keeps_the_label_whoever_comes_last(directory):
    write_bundle(directory, "my.Model", 2, SAMPLE)
    write_bundle(directory, "my.Model", 1, SAMPLE)
    assert "value: 2" in (directory / "serving" / "models.config").read_text()


def test_what_a_killed_export_left_of_a_file_goes_once_it_is_old(directory):
    folder = directory / "serving"
    folder.mkdir()
    for name in (".README.md-abcdefgh.tmp", ".models.config-abcdefg1.tmp", ".mine"):
        (folder / name).write_text("half")
    os.utime(folder / ".README.md-abcdefgh.tmp", (0, 0))
    write_bundle(directory, "my.Model", 2, SAMPLE)
    left = {path.name for path in folder.glob(".*")}
    assert left == {".generated.json", ".models.config-abcdefg1.tmp", ".mine"}


def test_a_folder_from_elsewhere_stays(directory):
    (directory / "serving").mkdir()
    (directory / "serving" / "README.md").write_text("mine")
    assert write_bundle(directory, "my.Model", 1, SAMPLE) == ["README.md"]
    assert (directory / "serving" / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "called"),
    [("reuters-r8", "reuters-r8"), ("A_b.c", "a-b-c"), ("2fast", "serve-2fast"), ("x" * 80, "x" * 50), ("a-.", "a")],
)
def test_object_names(name, called):
    assert object_name(name) == called
