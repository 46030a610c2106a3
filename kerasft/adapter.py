"""`kerasft adapter export RUN DIR | import DIR | list [RUNS]`: adapters as files that Hugging Face's PEFT reads."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.config.yaml_text import write_yaml
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.errors import UserError
from kerasft.paths import check_no_pattern
from kerasft.peft.adapter_files import FILES, FOLDER, Adapter, read_adapter
from kerasft.peft.module_names import our_names
from kerasft.peft.new_folder import new_folder
from kerasft.runs import Run

_ARGUMENTS = {"export": ("RUN", "DIR"), "import": ("DIR",), "list": ()}


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("adapter", __doc__, "export runs/NAME my-adapter")
    parser.add_argument("action", choices=_ARGUMENTS, help="what to do")
    parser.add_argument("paths", nargs="*", help="export: a run and a new folder; import: a folder; list: of runs")
    args = parser.parse_args(argv)
    return run_program(lambda: adapter(args.action, [Path(path) for path in args.paths]))


def adapter(action: str, paths: list[Path]) -> int:
    """The exit code."""
    names = _ARGUMENTS[action]
    if len(paths) != len(names) and not (action == "list" and len(paths) == 1):
        raise UserError(f"kerasft adapter {action}: write kerasft adapter {' '.join((action, *names))}")
    terminal = Terminal()
    if action == "export":
        own = adapter_of(paths[0])
        with new_folder(paths[1], "DIR") as draft:
            for name in FILES:
                shutil.copy(own / name, draft / name)
        terminal.result(f"adapter: {paths[1]}")
    elif action == "import":
        terminal.result(write_yaml({"peft": section_of(read_adapter(paths[0]))}).rstrip("\n"))
    else:
        list_adapters(paths[0] if paths else Path("runs"), terminal)
    return 0


def adapter_of(run: Path) -> Path:
    """The folder of a run's adapter.

    Raises:
        UserError: there is no such run, or it has none.
    """
    check_no_pattern(run, "RUN")
    if Run.open(run).config.model.peft is None:
        raise UserError(f"{run} was trained without model.peft and has no adapter; start from run:{run} instead")
    folder = run / FOLDER
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise UserError(f"{folder} has no {missing[0]}; train again, or copy the run again")
    return folder


def section_of(adapter_files: Adapter) -> dict[str, Any]:
    """The section `model.peft` that starts from an adapter.

    Raises:
        UserError: its method or its layers are not known here.
    """
    if adapter_files.facts.get("peft"):
        return {**adapter_files.facts["peft"], "start": adapter_files.folder}
    there = adapter_files.config
    if there.get("peft_type") != "LORA":
        raise UserError(f"{adapter_files.folder} is of {there.get('peft_type')}; adapters of LORA are read")
    if lacks := [key for key in ("r", "lora_alpha") if not isinstance(there.get(key), (int, float))]:
        raise UserError(f"{adapter_files.folder}: adapter_config.json has no number {lacks[0]}; copy the adapter again")
    modules = {name.rpartition(".lora_")[0] for name in adapter_files.tensors if ".lora_" in name}
    targets = our_names(modules)
    if targets is None:
        raise UserError(
            f"{adapter_files.folder}: layers such as {min(modules, default='none')} are of no family known here"
        )
    return {
        "method": "dora" if there.get("use_dora") else "lora",
        "rank": there["r"],
        "alpha": float(there["lora_alpha"]),
        "dropout": float(there.get("lora_dropout", 0.0)),
        "scaling": "sqrt" if there.get("use_rslora") else "rank",
        "targets": targets,
        "start": adapter_files.folder,
    }


def list_adapters(runs: Path, terminal: Terminal) -> None:
    """A line for each run with an adapter: method, numbers, base."""
    if not runs.is_dir():
        raise UserError(f"{runs} is not a folder; name that of your runs")
    folders = sorted(path for path in runs.iterdir() if (path / FOLDER / FILES[0]).is_file())
    for folder in folders:
        adapter_files = read_adapter(folder)
        count = int(sum(np.size(value) for value in adapter_files.tensors.values()))
        section, base = adapter_files.facts.get("peft", {}), adapter_files.facts.get("base", {})
        terminal.result(f"{folder}: {section.get('method')}, {count:,} numbers, beside {base.get('preset')}")
    if not folders:
        terminal.result(f"{runs}: no run there has an adapter")


if __name__ == "__main__":
    sys.exit(main())
