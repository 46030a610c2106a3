"""What an operator needs beside the versions of a model: configuration files, a compose file, Kubernetes manifests.

They stand in `saved_models/NAME/serving/`. TensorFlow Serving takes only folders whose names are integers for versions
and passes every other by (`file_system_storage_path_source.cc`: "strings that cannot be parsed as a number are
skipped"), so one mount brings the versions and their configuration.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kerasft.atomic import remove_leftovers, write_atomically
from kerasft.locks import locked
from kerasft.serving.kubernetes import manifests, object_name
from kerasft.serving.server_messages import parse
from kerasft.serving.tf_serving import GRPC_PORT, IMAGE, REST_PORT, ask_command

FOLDER = "serving"
FACTS = "assets.extra/kerasft.json"
# File -> SHA-256 of what was last written: a file that is otherwise is an operator's, and stays.
WRITTEN = ".generated.json"
METRICS_PATH = "/monitoring/prometheus/metrics"
# File -> the message that TensorFlow Serving parses it as.
PARSED = {
    "models.config": "ModelServerConfig",
    "batching.config": "BatchingParameters",
    "monitoring.config": "MonitoringConfig",
    "ssl.config.example": "SSLConfig",
}
MIB = 1024 * 1024


def write_bundle(directory: Path, name: str, version: int, sample: Mapping[str, str]) -> list[str]:
    """Writes `directory`/serving for the version just exported; files that an operator changed stay as they are.

    Args:
        directory: `saved_models/NAME`.
        name: what the model is served as.
        version: whose `assets.extra/kerasft.json` says what was measured; it gets the label `stable`.
        sample: {column: text} such as a user would send, for the README.

    Returns:
        The files that stayed; what they would be now stands beside each, with `.new` behind its name.
    """
    folder = directory / FOLDER
    folder.mkdir(exist_ok=True)
    with locked(folder):
        remove_leftovers(folder)
        return _write_files(directory, name, _newest(directory, version), sample)


def _newest(directory: Path, version: int) -> int:
    """Of two exports at once the later one may come here first: its version is then the newest for both."""
    files = (file for file in directory.glob(f"*/{FACTS}") if file.parts[-3].isdigit())
    return max([version, *(int(file.parts[-3]) for file in files)])


def _write_files(directory: Path, name: str, version: int, sample: Mapping[str, str]) -> list[str]:
    facts = json.loads((directory / str(version) / FACTS).read_text(encoding="utf-8"))
    folder = directory / FOLDER
    record = folder / WRITTEN
    hashes = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    edited = []
    for file, text in contents(name, version, facts["measured"], sample).items():
        path = folder / file
        if path.exists() and _hash(path.read_bytes()) not in (hashes.get(file), _hash(text.encode())):
            edited.append(file)
            path = folder / f"{file}.new"
        else:
            (folder / f"{file}.new").unlink(missing_ok=True)
            hashes[file] = _hash(text.encode())
        write_atomically(path, text)
    write_atomically(record, json.dumps(hashes, indent=2) + "\n")
    return edited


def contents(name: str, version: int, measured: Mapping[str, Any], sample: Mapping[str, str]) -> dict[str, str]:
    """{file: text}, every configuration file parsed as the server would parse it."""
    needs = resources(measured)
    files = {
        "models.config": _models_config(name, version),
        "batching.config": _batching_config(measured, needs["cpus"]),
        "monitoring.config": _monitoring_config(),
        "ssl.config.example": SSL_EXAMPLE,
        "compose.yaml": _compose(name, needs),
        "kubernetes.yaml": _kubernetes(name, measured, needs),
        "README.md": _readme(name, version, measured, needs, sample),
    }
    for file, message in PARSED.items():
        parse(message, files[file])
    return files


def resources(measured: Mapping[str, Any]) -> dict[str, int]:
    """What to ask of a machine: {cpus, memory_mib, memory_limit_mib}.

    Two versions are in memory while one follows another, and each thread of the batching may hold the activations of
    a largest batch. The CPUs are those that a largest batch kept busy where it was measured.
    """
    cpus = max(1, round(measured["largest_batch_cpu_seconds"] / measured["largest_batch_seconds"]))
    one_version = measured["loaded_bytes"] - measured["empty_bytes"]
    one_batch = measured["peak_bytes"] - measured["loaded_bytes"]
    needed = measured["empty_bytes"] + 2 * one_version + cpus * one_batch
    memory = _up(needed / MIB, 64)
    # A half more: the server's own buffers, requests in flight and the allocator's slack were not measured.
    return {"cpus": cpus, "memory_mib": memory, "memory_limit_mib": _up(memory * 1.5, 64)}


def server_arguments(name: str) -> list[str]:
    """Flags of tensorflow_model_server for the files of this bundle, with the model's folder at /models/NAME."""
    folder = f"/models/{name}/{FOLDER}"
    return [
        f"--model_config_file={folder}/models.config",
        "--model_config_file_poll_wait_seconds=60",
        # At start-up no version is loaded yet, and without this flag the label would be an error.
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching=true",
        f"--batching_parameters_file={folder}/batching.config",
        f"--monitoring_config_file={folder}/monitoring.config",
    ]


def _models_config(name: str, version: int) -> str:
    return f"""\
# ModelServerConfig. Two versions, so that the label moves to the new one only once that is loaded; a new version
# folder is found by itself. To go back: model_version_policy {{ specific {{ versions: N }} }}, and the label to N.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
    version_labels {{ key: "stable" value: {version} }}
  }}
}}
"""


def _batching_config(measured: Mapping[str, Any], cpus: int) -> str:
    # Waiting for others must not cost more than the half of a short answer.
    wait = min(10_000, max(500, round(measured["one_short_seconds"] * 1e6 / 2)))
    return f"""\
# BatchingParameters; read only with --enable_batching, and an error at start-up without it.
max_batch_size {{ value: {measured["largest_batch"]} }}
batch_timeout_micros {{ value: {wait} }}
# Beyond these the server answers UNAVAILABLE (503) at once.
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: {cpus} }}
# No allowed_batch_sizes: the server would fill each batch up to the next of them with copies, and this graph takes any
# size. Where you set them, the last must equal max_batch_size.
"""


def _monitoring_config() -> str:
    return f"""\
# MonitoringConfig; on the REST port.
prometheus_config {{
  enable: true
  path: "{METRICS_PATH}"
}}
"""


SSL_EXAMPLE = r"""# SSLConfig, for gRPC alone: the REST port has no TLS.
# The fields hold the contents of PEM files, not their paths; README.md has the command that makes ssl.config of your
# files. Keep that out of version control: it holds the key.
server_key: "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n"
server_cert: "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n"
# The authority that signed your clients' certificates, and whether they must have one.
custom_ca: "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n"
client_verify: true
"""


def _compose(name: str, needs: Mapping[str, int]) -> str:
    # The image has bash but neither curl nor wget. A dollar sign is doubled, or compose would replace it.
    status = f"GET /v1/models/{name}/metadata HTTP/1.0\\r\\n\\r\\n"
    probe = f"exec 3<>/dev/tcp/127.0.0.1/{REST_PORT} && printf '{status}' >&3 && head -n 1 <&3 | grep -q ' 200 '"
    service = {
        "image": IMAGE,
        "command": server_arguments(name),
        "ports": [f"{REST_PORT}:{REST_PORT}", f"{GRPC_PORT}:{GRPC_PORT}"],
        "volumes": [{"type": "bind", "source": "..", "target": f"/models/{name}", "read_only": True}],
        "healthcheck": {"test": ["CMD", "bash", "-c", probe], "interval": "10s", "timeout": "5s", "start_period": "5m"},
        "deploy": {"resources": {"limits": {"memory": f"{needs['memory_limit_mib']}M"}}},
        "restart": "unless-stopped",
    }
    head = "# docker compose up, in this folder. TensorFlow Serving of the version that the export was checked for.\n"
    return head + _yaml({"name": object_name(name), "services": {"serving": service}})


def _kubernetes(name: str, measured: Mapping[str, Any], needs: Mapping[str, int]) -> str:
    start_seconds = measured["load_seconds"] + measured["warm_up_seconds"]
    objects = manifests(name, server_arguments(name), needs, start_seconds, METRICS_PATH)
    head = (
        f"# kubectl apply -f kubernetes.yaml, once the claim {object_name(name)}-models holds the folder above this.\n"
        "# README.md says how the requests were measured.\n"
    )
    return head + "---\n".join(map(_yaml, objects))


def _readme(name, version, measured, needs, sample) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    return environment.get_template("bundle_readme.md.j2").render(
        name=name,
        object=object_name(name),
        version=version,
        measured=measured,
        needs=needs,
        mib={key: round(value / MIB) for key, value in measured.items() if key.endswith("_bytes")},
        metrics=METRICS_PATH,
        rest=REST_PORT,
        grpc=GRPC_PORT,
        image=IMAGE,
        arguments=server_arguments(name),
        ask=ask_command(name, sample),
    )


class _Plain(yaml.SafeDumper):
    """Writes a value in full wherever it stands, not as an alias of where it stood first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
