"""The commands that serve an export with TensorFlow Serving, and that ask it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

# The release built on the TensorFlow that exports are written with. 2.18 to 2.19.1 embed an older tf-text, which
# lacks ops that tokenizers use.
IMAGE = "tensorflow/serving:2.20.0"
REST_PORT = 8501
GRPC_PORT = 8500


def serve_commands(saved_model_dir: Path, name: str) -> str:
    """Shell commands that serve the newest version, one for Docker and one for an installed server.

    Args:
        saved_model_dir: `saved_models/NAME`, which holds the version folders.
        name: what clients call the model.

    Returns:
        Lines for a POSIX shell; comments start with `#`.
    """
    folder = str(saved_model_dir.absolute())
    docker = ["docker", "run", "--rm", "-p", f"{REST_PORT}:{REST_PORT}", *_mount(folder, f"/models/{name}")]
    docker += ["-e", f"MODEL_NAME={name}", IMAGE]
    server = ["tensorflow_model_server", f"--port={GRPC_PORT}", f"--rest_api_port={REST_PORT}"]
    server += [f"--model_name={name}", f"--model_base_path={folder}"]
    return f"# with Docker\n{shlex.join(docker)}\n# or with TensorFlow Serving 2.20 installed\n{shlex.join(server)}"


def ask_command(
    name: str,
    texts: Mapping[str, str],
    method: Literal["predict", "classify", "regress"] = "predict",
    server: str = f"http://localhost:{REST_PORT}",
) -> str:
    """A curl command that asks a running TensorFlow Serving about one row.

    Args:
        name: what the model is served as.
        texts: {column: text}, the inputs of the model, as `preprocessor.inputs` names them.
        method: `predict` for the model's own answers, `classify` or `regress` for TensorFlow Serving's form of them.
        server: address of the REST API.
    """
    # A lone surrogate, which JSON Lines can hold, has no UTF-8 form: no terminal prints it, no server reads it.
    row = {column: text.encode("utf-8", "replace").decode("utf-8") for column, text in texts.items()}
    if method == "predict":
        body = {"instances": [row]}
    else:
        body = {"signature_name": method, "examples": [row]}
    return shlex.join(["curl", "-d", json.dumps(body, ensure_ascii=False), f"{server}/v1/models/{name}:{method}"])


def _mount(source: str, target: str) -> list[str]:
    # -v splits at colons, --mount at commas.
    if ":" not in source:
        return ["-v", f"{source}:{target}:ro"]
    return ["--mount", f'type=bind,"source={source}",target={target},readonly']
