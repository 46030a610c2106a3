"""A program as HLO -> what the TPU's compiler says of it, from a process of its own, once for each program."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import kerasft
from kerasft.accelerators import aot
from kerasft.accelerators.bounds import Compiled, Refused
from kerasft.accelerators.chips import Chip
from kerasft.errors import Stop, UserError
from kerasft.invocation import install_command

CACHE = Path("~/.cache/kerasft/preflight")


def check_installed() -> None:
    """Raises UserError where the compiler is not installed."""
    missing = [name for name in ("jax", "libtpu") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"kerasft preflight compiles with {' and '.join(missing)}, which this Python does not have; "
            f"{install_command('preflight')}"
        )


def compile_program(hlo: bytes, chip: Chip, cache: Path = CACHE) -> Compiled | Refused:
    """Compiles for one chip, or remembers what came of it.

    Args:
        hlo: serialized, as TensorFlow gives it.
        chip: to compile for.
        cache: a folder; results are filed by what was compiled, for what, and the versions of the compiler.

    Raises:
        Stop: the compiler ended without an answer.
    """
    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder:
        path = Path(folder) / "program.hlo"
        path.write_bytes(hlo)
        options = json.dumps(chip.options, sort_keys=True)
        command = [sys.executable, "-m", aot.__name__, str(path), chip.topology, options, str(cache.expanduser())]
        root = str(Path(kerasft.__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
    answers = [line for line in process.stdout.splitlines() if line.startswith(aot.MARK)]
    if not answers:
        last_line = (process.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Stop(f"the TPU compiler ended with exit code {process.returncode} and said: {last_line}")
    answer = json.loads(answers[-1].removeprefix(aot.MARK))
    return refusal(answer["error"]) if "error" in answer else Compiled(**answer)


def refusal(message: str) -> Refused:
    """The compiler's error -> the reason in one line, and the layer from the operation's name where it says it.

    TensorFlow names operations `{{node model/layer/Op}}`, XLA `op_name="model/layer/Op"`.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = lines[0].partition(" HLO module:")[0] if lines else "no reason given"
    reason = re.sub(r"^(\w+: )*(?=[A-Z])", "", first)
    operation = re.search(r'\{\{node ([^}]+)\}\}|op_name="([^"]+)"', message)
    path = (operation[1] or operation[2]) if operation else ""
    layer = path.rpartition("/")[0] or None
    return Refused(reason[:300], message.startswith("RESOURCE_EXHAUSTED"), layer)
