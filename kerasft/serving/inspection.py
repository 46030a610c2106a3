"""Everything about one SavedModel, of whatever exporter, that TensorFlow Serving would refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kerasft.errors import ServableError
from kerasft.serving import warm_up
from kerasft.serving.servable_check import TIMEOUT_SECONDS, check, probe_inputs, probe_numbers, rows_of, run_capi
from kerasft.serving.servable_graph import (
    GROWS,
    REFUSED_OPS,
    batching_remarks,
    kernel_faults,
    kinds_of_op,
    op_faults,
    read_meta_graph,
)

# The exporter's own rule and no rule of the server's, which loads such a model.
NOT_REFUSED = {op: reason for op, reason in REFUSED_OPS.items() if reason is GROWS}


@dataclass(frozen=True)
class Findings:
    """Faults, for which a server refuses the model; remarks, with which it serves; a summary of what was checked."""

    faults: tuple[str, ...]
    remarks: tuple[str, ...]
    summary: str


def inspect(saved_model: Path, lacking: Mapping[str, str]) -> Findings:
    """Reads the graph, loads it through the C API and runs its warm-up requests.

    An export of kerasft gets the whole check of an export as well (`servable_check.check`). Of another's signatures
    nobody knows which inputs are meant to work, so only its warm-up requests are run.

    Args:
        saved_model: a version folder.
        lacking: {op: why}, what the release of the server does not have.

    Raises:
        ServableError: saved_model.pb is not a SavedModel, or has no graph for servers.
        UserError: there is no SavedModel.
    """
    meta_graph = read_meta_graph(saved_model)
    refused = {op: reason for op, reason in REFUSED_OPS.items() if op not in NOT_REFUSED} | dict(lacking)
    faults = list(op_faults(meta_graph, refused))
    ops = kinds_of_op(meta_graph)
    remarks = [f"op {op} {reason}" for op, reason in NOT_REFUSED.items() if op in ops] + [*batching_remarks(meta_graph)]
    summary = f"{len(ops)} kinds of op"
    try:
        logs = warm_up.read(saved_model)
        runs = [warm_up.record_run(meta_graph, log) for log in logs]
        summary += f", {len(runs)} warm-up requests"
        reply = run_capi(saved_model, ops, [] if faults else runs, TIMEOUT_SECONDS)
        faults += kernel_faults({op: found for op, found in reply["kernels"].items() if op not in refused})
        if not faults:
            warm_up.check_reply(reply)
            summary += _check_own(saved_model)
    except ServableError as error:
        faults.append(str(error))
    return Findings(tuple(faults), tuple(remarks), summary)


def _check_own(saved_model: Path) -> str:
    """The check of an export, for one of ours; what to say of it."""
    facts = saved_model / "assets.extra" / "kerasft.json"
    if not facts.is_file():
        return ""
    told = json.loads(facts.read_text(encoding="utf-8"))
    columns = sorted(read_meta_graph(saved_model).signature_def["serving_default"].inputs)
    inputs = probe_inputs(columns, told["max_length"])
    numbers = probe_numbers(told.get("numbers", {}), rows_of(inputs))
    return f"; {check(saved_model, inputs, numbers=numbers)}"
