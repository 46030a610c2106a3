"""Everything about one SavedModel, of whatever exporter, that TensorFlow Serving would refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.errors import ServableError
from kerasft.serving import warm_up
from kerasft.serving.adapter_facts import DEFAULT, KEY, probes_of
from kerasft.serving.capi_process import run_capi
from kerasft.serving.outside_ops import outside_faults
from kerasft.serving.probes import Inputs, Numbers, probe_inputs, probe_numbers, rows_of
from kerasft.serving.servable_check import TIMEOUT_SECONDS, check
from kerasft.serving.servable_graph import (
    GROWS,
    REFUSED_OPS,
    batching_remarks,
    kernel_faults,
    kinds_of_op,
    op_faults,
    read_meta_graph,
)

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# The exporter's own rule and no rule of the server's, which loads such a model.
NOT_REFUSED = {op: reason for op, reason in REFUSED_OPS.items() if reason is GROWS}
LONGEST = 2**20  # tokens of any model that kerasft makes
OUTSIDE = "a server that loads it does so, too; if you trust who made it, add --trust"


@dataclass(frozen=True)
class Findings:
    """Faults, for which a server refuses the model; remarks, with which it serves; a summary of what was checked."""

    faults: tuple[str, ...]
    remarks: tuple[str, ...]
    summary: str


def inspect(saved_model: Path, lacking: Mapping[str, str], run: bool = False, trust: bool = False) -> Findings:
    """Reads the graph and the warm-up requests, and asked to, loads it through the C API and runs those.

    A SavedModel is a program of whoever made it. Nothing of it runs unless `run`, nor where it has a fault, and then
    in a process that has given up its rights to files, network and programs (`confinement.py`).

    An export of kerasft that is run gets the whole check of an export as well (`servable_check.check`). Of another's
    signatures nobody knows which inputs are meant to work, so only its warm-up requests are run.

    Args:
        saved_model: a version folder.
        lacking: {op: why}, what the release of the server does not have.
        run: whether it may be run.
        trust: that it reaches out of its graph is no fault.

    Raises:
        ServableError: saved_model.pb is not a SavedModel, or has no graph for servers.
        UserError: there is no SavedModel.
    """
    meta_graph = read_meta_graph(saved_model)
    refused = {op: reason for op, reason in REFUSED_OPS.items() if op not in NOT_REFUSED} | dict(lacking)
    faults = list(op_faults(meta_graph, refused))
    ops = kinds_of_op(meta_graph)
    remarks = [f"op {op} {reason}" for op, reason in NOT_REFUSED.items() if op in ops] + [*batching_remarks(meta_graph)]
    fault_ops = {_op(fault) for fault in faults}
    outside = [fault for fault in outside_faults(saved_model, meta_graph) if _op(fault) not in fault_ops]
    if trust:
        remarks += outside
    else:
        faults += [f"{fault}: {OUTSIDE}" for fault in outside]
    summary = f"{len(ops)} kinds of op"
    try:
        requests = [warm_up.record_run(meta_graph, log) for log in warm_up.read(saved_model)]
        summary += f", {len(requests)} warm-up requests"
        reply = run_capi(None, ops, [], TIMEOUT_SECONDS)
        faults += kernel_faults({op: kernels for op, kernels in reply["kernels"].items() if op not in refused})
        if run and not faults:
            ran, rights = _run(saved_model, meta_graph, requests)
            summary += ran
            remarks += (
                [f"the model ran with rights that this system could not take from it: {rights}"] if rights else []
            )
    except ServableError as error:
        faults.append(str(error))
    return Findings(tuple(faults), tuple(remarks), summary if run else f"{summary}; read and not run, which --run does")


def _op(fault: str) -> str:
    """The op that a fault names, which need not be told twice for two reasons."""
    return fault.partition(" (")[0]


def _run(saved_model: Path, meta_graph: MetaGraphDef, requests: Sequence[dict[str, Any]]) -> tuple[str, str | None]:
    """Loads it and runs its warm-up requests; what to say of that, and which rights the process kept."""
    reply = run_capi(saved_model, [], requests, TIMEOUT_SECONDS, confined=True)
    warm_up.check_reply(reply)
    facts = saved_model / "assets.extra" / "kerasft.json"
    if not facts.is_file():
        return "", reply["not_confined"]
    inputs, numbers, own = _probes(facts, sorted(meta_graph.signature_def["serving_default"].inputs))
    return f"; {check(saved_model, inputs, numbers=numbers, confined=True, own=own)}", reply["not_confined"]


def _probes(facts: Path, columns: Sequence[str]) -> tuple[Inputs, Numbers, dict[str, Inputs]]:
    """What an export of kerasft is asked; `kerasft.json` may be a stranger's, too."""
    try:
        metadata = json.loads(facts.read_text(encoding="utf-8"))
        if not columns or not 0 < int(metadata["max_length"]) <= LONGEST:
            raise ValueError
        if adapters := metadata.get(KEY):
            own = probes_of(adapters)
            return own[DEFAULT], {}, own
        inputs = probe_inputs(columns, int(metadata["max_length"]))
        return inputs, probe_numbers(metadata.get("numbers", {}), rows_of(inputs)), {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServableError(f"{facts}: not as kerasft writes it ({type(error).__name__})") from error
