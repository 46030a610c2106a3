"""kerasft's side of `train_throughput`: a config's own trainer and pipeline, in steps that are ordered.

    python -m benchmarks.paced_training CONFIG [key=value ...]

Each step is what `kerasft.train` takes between two validations; see benchmarks/peers/pacing.py for the orders.
"""

from __future__ import annotations

import sys

from benchmarks.peers.pacing import Pace
from kerasft.config.load import load_config
from kerasft.console.terminal import Silent, quiet_tensorflow
from kerasft.data.splits import load_splits
from kerasft.models.presets.presets import resolve_preset
from kerasft.runs import Run
from kerasft.tasks.registry import create_task


def main() -> None:
    config = load_config(sys.argv[1], sys.argv[2:])
    run, task = Run.plan(config), create_task(config)
    task.check_config()
    tables, preset = load_splits(config, task), resolve_preset(config.model.preset)
    quiet_tensorflow(False)
    import tensorflow as tf

    from kerasft.training.fit import TrainingJob, prepare

    trainer = prepare(TrainingJob(run, task, tables, preset, Silent())).trainer
    spent, pace, one = trainer.progress.spent, Pace(), tf.constant(1)
    with trainer.data_at(0):
        pace.begin()
        while True:
            before = dict(spent)
            trainer.train(one)
            pace.after_step(spent["examples"] - before["examples"], spent["tokens"] - before["tokens"])


if __name__ == "__main__":
    main()
