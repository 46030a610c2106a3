"""The process in which TensorFlow's C API loads and runs a SavedModel, see `capi.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.errors import ServableError
from kerasft.serving import capi, confinement

COMMAND = (sys.executable, "-I", capi.__file__)
CONFINED_COMMAND = (sys.executable, "-I", confinement.__file__, capi.__file__)


def run_capi(
    saved_model: Path | None, ops: Sequence[str], runs: Sequence[Any], timeout: float, confined: bool = False
) -> dict[str, Any]:
    """Sends one request to `capi.py` in its own process; a crash, a hang or no answer is a ServableError.

    Args:
        saved_model: what is loaded; None: nothing is, and only kernels are listed.
        ops: whose kernels are listed.
        runs: as `capi.py` takes them.
        timeout: seconds that the process may take.
        confined: without the rights to write files, reach the network or start programs, as far as the system can.
    """
    # The kernels looked for are those of the CPU, so the run is held to them on a machine with a GPU too.
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    request = {"libraries": capi.find_libraries(), "saved_model": saved_model and str(saved_model)}
    request |= {"ops": ops, "runs": runs}
    try:
        process = subprocess.run(
            CONFINED_COMMAND if confined else COMMAND,
            input=json.dumps(request).encode(), capture_output=True, timeout=timeout, env=env,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ServableError(f"the C API process did not answer within {timeout:g} s") from error
    if process.returncode:
        last = process.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ServableError(f"the C API process died with exit code {process.returncode}: {last or 'it said nothing'}")
    reply = json.loads(process.stdout)
    if reply["imported_tensorflow"]:
        raise ServableError("the C API process imported TensorFlow, so it proves nothing about a server")
    return reply
