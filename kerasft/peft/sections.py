"""The section `model.peft` that starts from an adapter's files; without TensorFlow."""

from __future__ import annotations

from typing import Any

from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.module_names import our_names


def section_of(adapter: Adapter) -> dict[str, Any]:
    """The keys of `model.peft`, JSON-able.

    Raises:
        UserError: its method or its layers are not known here.
    """
    if adapter.facts.get("peft"):
        return {**adapter.facts["peft"], "start": adapter.folder}
    there = adapter.config
    kind = there.get("peft_type")
    if kind == "IA3":
        return {"method": "ia3", "start": adapter.folder}
    if kind not in ("LORA", "ADALORA"):
        raise UserError(f"{adapter.folder} is of {kind}; adapters of LORA, ADALORA and IA3 are read")
    rank = "r" if kind == "LORA" else "init_r"
    if lacks := [key for key in (rank, "lora_alpha") if not isinstance(there.get(key), (int, float))]:
        raise UserError(f"{adapter.folder}: adapter_config.json has no number {lacks[0]}; copy the adapter again")
    modules = {name.rpartition(".lora_")[0] for name in adapter.tensors if ".lora_" in name}
    targets = our_names(modules)
    if targets is None:
        raise UserError(f"{adapter.folder}: layers such as {min(modules, default='none')} are of no family known here")
    pairs = {
        "rank": there[rank],
        "alpha": float(there["lora_alpha"]),
        "dropout": float(there.get("lora_dropout", 0.0)),
        "targets": targets,
        "start": adapter.folder,
    }
    if kind == "ADALORA":
        return {"method": "adalora", "target_rank": min(int(there.get("target_r", 8)), there[rank]), **pairs}
    method = "dora" if there.get("use_dora") else "lora"
    return {"method": method, "scaling": "sqrt" if there.get("use_rslora") else "rank", **pairs}
