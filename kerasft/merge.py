"""`kerasft merge RUN DIR`: a run's preset with its adapter merged into it, as a preset of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.adapter import adapter_of
from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, run_program
from kerasft.errors import UserError
from kerasft.peft.new_folder import new_folder


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("merge", __doc__, "runs/NAME my-model")
    parser.add_argument("run", type=Path, help="a run of model.peft")
    parser.add_argument("dir", type=Path, help="a new folder, which model.preset can name afterwards")
    args = parser.parse_args(argv)
    return run_program(lambda: merge(args.run, args.dir))


def merge(run: Path, folder: Path) -> int:
    """Copies the merged model of a run to a new folder, whole or not at all; the exit code.

    Raises:
        UserError: the run has no adapter, or one that stays in the model, or the folder is there.
    """
    adapter_of(run)
    if (run / "model" / "peft.weights.npz").is_file():
        raise UserError(
            f"{run} keeps its adapter in the model, and no weights could replace it; use model.preset=run:{run}"
        )
    with new_folder(folder, "DIR") as draft:
        shutil.copytree(run / "model", draft, dirs_exist_ok=True)  # a run keeps its model merged
    Terminal().result(f"merged: {folder}; to start from it: model.preset={folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
