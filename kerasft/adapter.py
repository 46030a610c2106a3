"""`kerasft adapter export | import | list | merge | extract`: adapters as files that Hugging Face's PEFT reads.

export RUN DIR                     the adapter of a run, in a new folder
import DIR                         the section model.peft that starts from an adapter
list [RUNS]                        the runs of a folder that have one
merge A B... --how HOW --to DIR    the sum of adapters of one base: linear, ties, dare or svd
extract RUN --rank R --to DIR      the difference of a run and its preset
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasft.config.yaml_text import write_yaml
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.errors import UserError
from kerasft.extraction import extract
from kerasft.paths import check_no_pattern
from kerasft.peft.adapter_files import FILES, FOLDER, read_adapter, write_adapter
from kerasft.peft.new_folder import new_folder
from kerasft.peft.sections import section_of
from kerasft.peft.sums import HOWS, Sum, add_adapters
from kerasft.runs import Run

# Paths of each action, the fewest and the most, and the options that it takes.
_ACTIONS = {
    "export": ("RUN DIR", 2, 2, ()),
    "import": ("DIR", 1, 1, ()),
    "list": ("[RUNS]", 0, 1, ()),
    "merge": ("A B... --how HOW --to DIR", 2, 100, ("how", "to", "weights", "rank", "density", "seed")),
    "extract": ("RUN --rank R --to DIR", 1, 1, ("rank", "to")),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("adapter", __doc__, "export runs/NAME my-adapter")
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument("paths", nargs="*", type=Path, help="runs and folders, as above")
    parser.add_argument("--how", choices=HOWS, help="merge: how adapters are added")
    parser.add_argument("--to", type=Path, metavar="DIR", help="merge, extract: a new folder")
    parser.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="merge: one for each adapter; default: 1 / their number"
    )
    parser.add_argument("--rank", type=int, metavar="R", help="merge, extract: of the result")
    parser.add_argument("--density", type=float, metavar="D", help="merge: share that ties (0.2) and dare (0.5) keep")
    parser.add_argument("--seed", type=int, help="merge: of what dare draws; default: 0")
    args = parser.parse_args(argv)
    return run_program(lambda: adapter(args))


def adapter(args: argparse.Namespace) -> int:
    """The exit code."""
    action, paths = args.action, args.paths
    names, fewest, most, options = _ACTIONS[action]
    if not fewest <= len(paths) <= most:
        raise UserError(f"kerasft adapter {action}: write kerasft adapter {action} {names}")
    for option in ("how", "to", "weights", "rank", "density", "seed"):
        if getattr(args, option) is not None and option not in options:
            raise UserError(f"kerasft adapter {action}: it takes no --{option}; write kerasft adapter {action} {names}")
    terminal = Terminal()
    if action == "export":
        own = adapter_of(paths[0])
        with new_folder(paths[1], "DIR") as draft:
            for name in FILES:
                shutil.copy(own / name, draft / name)
        terminal.result(f"adapter: {paths[1]}")
    elif action == "import":
        terminal.result(write_yaml({"peft": section_of(read_adapter(paths[0]))}).rstrip("\n"))
    elif action == "merge":
        merge_adapters(paths, args, terminal)
    elif action == "extract":
        extract_adapter(paths[0], args, terminal)
    else:
        list_adapters(paths[0] if paths else Path("runs"), terminal)
    return 0


def merge_adapters(paths: Sequence[Path], args: argparse.Namespace, terminal: Terminal) -> None:
    """Writes the sum of adapters to a new folder."""
    if args.how is None or args.to is None:
        raise UserError(f"kerasft adapter merge: say --how ({', '.join(HOWS)}) and --to DIR, a new folder")
    weights = args.weights or [1.0 if args.how == "ties" else 1.0 / len(paths)] * len(paths)
    if len(weights) != len(paths):
        raise UserError(f"--weights: {len(weights)} for {len(paths)} adapters; give one for each")
    density = args.density if args.density is not None else {"ties": 0.2}.get(args.how, 0.5)
    if not 0 < density <= 1:
        raise UserError(f"--density: {density} is no share; give more than 0 and at most 1")
    for option, hows in (("density", ("ties", "dare")), ("seed", ("dare",)), ("rank", ("ties", "dare", "svd"))):
        if getattr(args, option) is not None and args.how not in hows:
            raise UserError(f"--{option}: for {' and '.join(hows)}, not for --how {args.how}; leave it out")
    _check_rank(args.rank)
    adapters = [read_adapter(path) for path in paths]
    added = add_adapters(adapters, Sum(args.how, weights, args.rank, density, args.seed or 0))
    facts = {key: value for key, value in adapters[0].facts.items() if key != "peft"}  # its settings are other ones
    with new_folder(args.to, "--to") as draft:
        write_adapter(draft, added.config, added.tensors, facts)
    terminal.line(f"rank {added.config['r']} keeps {added.kept:.1%} of the sum; the head is that of {paths[0]}")
    terminal.result(f"adapter: {args.to}")


def extract_adapter(path: Path, args: argparse.Namespace, terminal: Terminal) -> None:
    """Writes the difference of a run and its preset to a new folder."""
    if args.rank is None or args.to is None:
        raise UserError("kerasft adapter extract: say --rank R and --to DIR, a new folder")
    _check_rank(args.rank)
    check_no_pattern(path, "RUN")
    run = Run.open(path)
    quiet_tensorflow(verbose=False)
    with new_folder(args.to, "--to") as draft:
        found = extract(run, args.rank, draft)
    terminal.line(
        f"rank {args.rank} keeps {found.kept:.1%} of the difference of linear layers; {found.beside:.1%} of all lies "
        "in other weights (embeddings, biases, normalisation), which an adapter has not"
    )
    terminal.result(f"adapter: {args.to}")


def _check_rank(rank: int | None) -> None:
    if rank is not None and rank < 1:
        raise UserError(f"--rank: {rank} is too small; use 1 or more")


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
