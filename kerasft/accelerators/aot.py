"""Compiles a program for a TPU on a machine that has none; run as a process of its own, without TensorFlow.

`python -m kerasft.accelerators.aot HLO TOPOLOGY OPTIONS CACHE` prints one line of JSON. jax and libtpu stand in this
file alone: `topologies` is jax's experimental interface, `hlo_to_stablehlo` and `compile` are jaxlib's internal one
(tried with jax 0.10.2 and libtpu 0.0.52); tests/accelerators/test_aot.py fails when they move.
"""

# jax is of the extra `preflight`, which a machine that checks types need not have.
# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "jaxlib", "libtpu")
MARK = "kerasft: "  # before the answer: libtpu writes lines of its own


def main(hlo: str, topology: str, options: str, cache: str) -> None:
    # Without these libtpu asks Google's metadata server what machine this is, and lets only one process load it.
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    from jax._src.interpreters.mlir import make_ir_context

    with make_ir_context():
        module = read_module(Path(hlo).read_bytes())
        path = Path(cache) / f"{key(str(module), topology, options)}.json"
        if path.is_file():
            answer = json.loads(path.read_text(encoding="utf-8"))
        else:
            answer = compile_for(module, topology, json.loads(options))
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(answer), encoding="utf-8")
            os.replace(draft, path)  # another process sees a whole file or none
    print(MARK + json.dumps(answer))


def read_module(hlo: bytes) -> Any:
    """TensorFlow's serialized HLO -> a StableHLO module without the copies that StableHLO does not know."""
    from jaxlib import _jax
    from jaxlib.mlir import ir

    module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
    for operation in list(_operations(module.operation)):
        if operation.name == "mhlo.copy":
            operation.results[0].replace_all_uses_with(operation.operands[0])
            operation.erase()
    return module


def _operations(operation: Any) -> Any:
    for region in operation.regions:
        for block in region:
            for inner in block.operations:
                yield from _operations(inner.operation)
                yield inner.operation


def key(text: str, topology: str, options: str) -> str:
    """A name for the result: what is compiled, for what, by which versions.

    Names of functions have counters of TensorFlow's and Keras' in them, which say nothing of the program: they are
    numbered as they come.
    """
    numbers: dict[str, int] = {}
    program = re.sub(r'@("[^"]*"|[\w.$-]+)', lambda name: f"@{numbers.setdefault(name[0], len(numbers))}", text)
    versions = [version(package) for package in PACKAGES]
    return hashlib.sha256("\n".join([program, topology, options, *versions]).encode()).hexdigest()


def compile_for(module: Any, topology: str, options: dict[str, str]) -> dict[str, Any]:
    """The compiler's figures, or {error}."""
    import numpy as np
    from jax.errors import JaxRuntimeError
    from jax.experimental import topologies
    from jaxlib import _jax

    device = topologies.get_topology_desc(topology, platform="tpu", **options).devices[0]
    settings = _jax.CompileOptions()
    settings.num_replicas = settings.num_partitions = 1
    settings.device_assignment = _jax.DeviceAssignment.create(np.array([[device.id]], np.int32))
    start = time.monotonic()
    try:
        program = device.client.compile(module, _jax.DeviceList((device,)), settings)
    except JaxRuntimeError as error:
        return {"error": str(error)}
    memory = program.get_compiled_memory_stats()
    return {
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "alias_bytes": memory.alias_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "code_bytes": memory.generated_code_size_in_bytes,
        "flops": program.cost_analysis()["flops"],
        "seconds": time.monotonic() - start,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
