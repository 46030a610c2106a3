"""`python -m kerasft.verify RUN`: replays the steps before a run's newest checkpoint; are the bits the same?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kerasft.console.arguments import Parser
from kerasft.console.terminal import Terminal, quiet_tensorflow, run_program
from kerasft.data.splits import load_splits
from kerasft.data.tables.digests import UNLABELLED
from kerasft.errors import Stop, UserError
from kerasft.inference.served_teacher import served_teacher
from kerasft.models.presets.presets import resolve_preset
from kerasft.paths import check_no_pattern
from kerasft.runs import Run
from kerasft.tasks.registry import create_task


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("verify", __doc__, "runs/NAME")
    parser.add_argument("run", type=Path, help="a run directory with two checkpoints of different steps")
    parser.add_argument("--verbose", action="store_true", help="let TensorFlow talk")
    args = parser.parse_args(argv)
    return run_program(lambda: verify(args.run, args.verbose))


def verify(folder: Path, verbose: bool) -> int:
    """Exit code 0: every bit of weights, optimizer and random states is reproduced; 1: not. Writes nothing."""
    check_no_pattern(folder, "RUN")
    run, terminal = Run.begun(folder), Terminal(verbose)
    if run.config.training.strategy == "multi_worker":
        raise UserError(f"{folder} was trained by several workers, and its steps are replayed by one process only")
    task = create_task(run.config)
    tables = load_splits(run.config, task, terminal.line)
    run.check_data(tables)
    preset = resolve_preset(run.config.model.preset)

    quiet_tensorflow(verbose)
    from kerasft.training.fit import TrainingJob, prepare

    server = served_teacher(run.config, task, terminal, run.folder)
    ready = prepare(TrainingJob(run, task, tables, preset, terminal, server=server))
    if ready.unlabelled is not None:
        run.check_data({**tables, UNLABELLED: ready.unlabelled})
    trainer = ready.trainer
    good, damaged = trainer.checkpoints.states.entries()
    for wrong in damaged:
        terminal.line(wrong)
    before = next((entry for entry in good if entry.step < good[0].step), None)
    if before is None:
        raise UserError(f"{folder} has no two checkpoints of different steps; train with training.checkpoint.keep=2")
    newest = good[0]
    trainer.checkpoints.load(newest)
    expected = trainer.checkpoints.sha256()
    actual = trainer.replay(before, newest.step)
    steps = f"steps {before.step + 1} to {newest.step}"
    if actual != expected:
        raise Stop(
            f"{steps}: the state is not reproduced (SHA-256 {actual[:16]}, recorded {expected[:16]}); on a GPU set "
            f"training.deterministic, on a CPU use the machine that trained it"
        )
    terminal.result(f"{steps}: every bit is reproduced (SHA-256 {actual})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
