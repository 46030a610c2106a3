"""The training loop: Orbit's controller over a Keras 3 model, from the first step or from a checkpoint."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import orbit
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.batching.dataset import distribute, wants_one_shape
from kerasft.data.batching.remote_hosts import HERE, remote_hosts
from kerasft.data.prepared.prepared import Prepared
from kerasft.distribution.workers import Workers
from kerasft.errors import Diverged
from kerasft.evaluation.evaluate import Evaluator
from kerasft.evaluation.split_loss import split_loss
from kerasft.tasks.base import Task
from kerasft.training.actions import StopEvaluation, Watch
from kerasft.training.batches import Batches
from kerasft.training.checkpoints.best import BestRule
from kerasft.training.checkpoints.checkpoint import Checkpoints
from kerasft.training.checkpoints.checkpoint_files import Entry
from kerasft.training.fitted_head import fit_head
from kerasft.training.inner_loop import InnerLoop
from kerasft.training.layers.deferred_rows import deferrable_layers
from kerasft.training.layers.fused_layers import ACTIVATIONS, KERNELS, chosen_forms, fused_layers
from kerasft.training.layers.precision import bfloat16_products, rewrites
from kerasft.training.microbatches import chosen_microbatches
from kerasft.training.optimizer import create_optimizer, exported_weights
from kerasft.training.step import make_train_step


class Trainer(orbit.AbstractTrainer, orbit.AbstractEvaluator):
    """Trains a model and validates it as it goes.

    Args:
        config: the resolved config.
        task: gives loss and metrics.
        model: created under the strategy, frozen as the config says.
        depths: variable path -> depth, for the layer-wise learning rate.
        train: prepared training split.
        validation: prepared validation split.
        strategy: where it runs.
        folder: of the run; TensorBoard events go below it.
        checkpoints: the folder of checkpoints, local or gs://.
        terminal: shows progress.
        workers: of the strategy; None: this process alone.
        recomputed: transformer layers of the model that are computed again on the way back, to save memory.
    """

    def __init__(
        self,
        config: Config,
        task: Task,
        model: keras.Model,
        depths: dict[str, int],
        train: Prepared,
        validation: Prepared,
        strategy: tf.distribute.Strategy,
        folder: Path,
        checkpoints: str,
        terminal: Terminal,
        workers: Workers | None = None,
        recomputed: Sequence[keras.layers.Layer] = (),
    ):
        self.config, self.task, self.model, self.strategy = config, task, model, strategy
        self.train_data, self.validation, self.folder, self.terminal = train, validation, folder, terminal
        self.workers = workers or Workers()
        training, self.rewrites = config.training, rewrites(config.training.precision)
        self.static = wants_one_shape(strategy)
        replicas = strategy.num_replicas_in_sync
        self.batches = Batches.of(config, model, train, training.batch_size, replicas, self.static)
        self.steps = self.batches.steps
        forms = self.forms = chosen_forms(training.fused, terminal.line, here=not remote_hosts(strategy))
        rows = [] if self.static else deferrable_layers(training, model, forms, replicas)
        kernels = KERNELS in forms and replicas == 1
        with strategy.scope():
            self.optimizer = create_optimizer(training, self.steps, model, depths, rows, kernels)
            kept, hosts = training.checkpoint.keep, remote_hosts(strategy)
            # Without a word from us each host would write its variables to its own disk.
            written_by = HERE if hosts else None
            self.checkpoints = Checkpoints(checkpoints, model, self.optimizer, kept, self.workers, written_by)
        self.progress = self.checkpoints.progress
        stopping = training.early_stopping
        metric = stopping.metric if stopping else task.headline
        self.rule = BestRule(metric, metric in task.falling, stopping)
        self.microbatches = chosen_microbatches(config, task, model, strategy)
        # Activations would be compiled anew for each length of texts.
        lasting = [form for form in forms if form != ACTIVATIONS]
        evaluated = training.evaluation_batch_size, task.condense, self.microbatches
        self.evaluator = Evaluator(model, strategy, *evaluated, lambda: fused_layers(model, lasting))
        made_of = model, task, self.optimizer, strategy, training.gradient_accumulation, forms, self.batches.packed
        step = make_train_step(*made_of, recomputed, self.static, self.microbatches)
        self.run_steps = InnerLoop(step, not self.static, hosts)

    def fit(self, resume: bool = False) -> None:
        """Trains to the last step or until it no longer improves, and leaves the model with its best weights.

        Raises:
            Interrupted: on Ctrl-C, after a checkpoint was written.
            Diverged: when the loss is no longer a number.
        """
        training = self.config.training
        self.checkpoints.prepare()
        for damaged in self.checkpoints.restore() if resume else ():
            self.terminal.line(f"{damaged}: going on from the checkpoint before it, at step {self.checkpoints.step}")
        self._same_forms()
        if self.batches.filling:
            self.terminal.line(str(self.batches.filling))
        saving = training.checkpoint
        with Watch(self.checkpoints, self.steps, self.rule.metric, saving, self.folder, self.terminal) as watch:
            self.watch = watch
            if training.fit_head and self.checkpoints.step == 0:
                self._fit_head()
            controller = orbit.Controller(
                trainer=self,
                evaluator=self,
                strategy=self.strategy,
                global_step=self.optimizer.iterations.value,
                steps_per_loop=training.steps_per_loop,
                train_actions=[watch.after_steps],
                eval_actions=[watch.after_evaluation],
                summary_dir=str(self.folder / "tensorboard") if self.workers.chief else None,
            )
            self.go_to(self.checkpoints.step)
            with contextlib.redirect_stdout(io.StringIO()):  # Orbit prints lines of its own
                try:
                    self._run(controller)
                except StopEvaluation:
                    watch.stop()
        if self.run_steps.timed:
            self.terminal.line(f"input: steps waited for it {self.input_wait:.1%} of their time")
        self.sha256 = self.checkpoints.sha256()
        self.workers.wait()  # the chief may still be writing the best weights
        self.checkpoints.restore_best()
        self.task.state.update(self.progress.best["state"])

    def _same_forms(self) -> None:
        """Says so where what a run's steps were made of before is not what they are made of here."""
        before, now = self.progress.forms, list(self.forms)
        if before not in (None, now):
            other = ", ".join(sorted(set(before) ^ set(now)))
            self.terminal.line(f"training.fused was another before ({other}): the bits will differ from there on")
        self.progress.forms = now

    def replay(self, entry: Entry, last_step: int) -> str:
        """Goes from a checkpoint to a later step, without saving or validating; SHA-256 of the state there."""
        self.checkpoints.load(entry)
        self.go_to(entry.step)
        loop = self.config.training.steps_per_loop
        with bfloat16_products(self.rewrites):
            for step in range(entry.step, last_step, loop):
                self.run_steps(self.iterator, min(loop, last_step - step))
        return self.checkpoints.sha256()

    def go_to(self, first_step: int) -> None:
        """Sets the data to a step. The plan is read twice, by the pipeline and for the count of tokens."""
        training, batches = self.config.training, self.batches
        self.progress.parts = batches.going_on(self.progress.parts)
        dataset = distribute(
            self.train_data,
            lambda: batches.from_step(first_step),
            self.strategy,
            training.gradient_accumulation * self.microbatches,
            training.batch_size if self.static else None,
            first_step,
            batches.packing,
        )
        self.iterator, self.plan = iter(dataset), batches.from_step(first_step)

    def figures(self) -> dict[str, Any]:
        """What `metrics.json` says of the training: times in seconds, rates over the time spent in steps.

        `input_wait` is the share of `step_seconds` in which a step had no batch yet, None where that is not known (a
        TPU of one host); `sha256` that of the whole state after the last step.
        """
        spent = self.progress.spent
        return {
            "seconds": spent["seconds"],
            "step_seconds": spent["step_seconds"],
            "input_wait": self.input_wait if self.run_steps.timed else None,
            "examples_per_second": spent["examples"] / spent["step_seconds"],
            "real_tokens_per_second": spent["tokens"] / spent["step_seconds"],
            "steps": self.checkpoints.step,
            "best_step": self.progress.best["step"],
            "sha256": self.sha256,
            "replicas": self.strategy.num_replicas_in_sync,
        }

    def _run(self, controller: orbit.Controller) -> None:
        saving = self.config.training.checkpoint.every_steps or self.steps
        while True:
            step = self.checkpoints.step
            due = step == self._evaluation_after(step - 1) or step >= self.steps
            if due and step > self.progress.validated:
                controller.evaluate(steps=-1)
            elif step >= self.steps or self.rule.is_enough(self.progress.waited):
                return
            else:
                # Orbit cuts its last loop short, so that with any steps_per_loop nothing is evaluated or saved late.
                stops = self._evaluation_after(step), (step // saving + 1) * saving
                controller.train(min(self.steps, *stops), checkpoint_at_completion=False)

    def _fit_head(self) -> None:
        size = self.config.training.evaluation_batch_size
        with bfloat16_products(self.rewrites):
            fit_head(self.model, self.train_data, self.strategy, size, self.microbatches, self.forms, self.terminal)

    def _evaluation_after(self, step: int) -> int:
        """The next step behind this one that is validated."""
        every = self.config.training.evaluate_every
        return (step // every + 1) * every if every else self.batches.epochs.end_after(step)

    def train(self, num_steps: tf.Tensor) -> dict[str, Any]:
        """Orbit's inner loop: runs some steps and returns figures of them."""
        begun = time.monotonic()
        first = self.checkpoints.step + 1
        with bfloat16_products(self.rewrites):
            loss, good, waited = self.run_steps(self.iterator, int(num_steps))
        if good < int(num_steps):
            self.workers.part()
            raise Diverged(
                f"the loss or its gradient is no longer a number at step {first + good}; lower "
                f"training.optimizer.learning_rate or set training.precision to float32. The checkpoints in "
                f"{self.checkpoints.folder} are from before"
            )
        spent = self.progress.spent
        spent["step_seconds"] += time.monotonic() - begun
        spent["input_seconds"] += waited
        for rows in itertools.islice(self.plan, int(num_steps)):
            spent["examples"] += len(rows)
            spent["tokens"] += int(self.train_data.tokens[rows].sum())
        return {"loss": loss, "learning_rate": float(self.optimizer.learning_rate)}

    def evaluate(self, num_steps: tf.Tensor) -> dict[str, Any]:
        """Validates with the weights that would be exported; every example counts once."""
        with exported_weights(self.optimizer):
            logits = self.evaluator.logits(self.validation, self.watch.within_evaluation)
            self.task.tune(self.validation, logits)
            metrics = self.task.metrics(self.validation, logits)
            self._compare(metrics[self.rule.metric], split_loss(self.task, self.validation, logits, metrics))
        return {name: value for name, value in metrics.items() if isinstance(value, (int, float))}

    @property
    def input_wait(self) -> float:
        """The share of the time in steps in which a step had no batch yet."""
        return self.progress.spent["input_seconds"] / self.progress.spent["step_seconds"]

    def _compare(self, value: float | None, loss: float | None) -> None:
        """Keeps the weights as they stand, if no validation before was better."""
        progress, step = self.progress, self.checkpoints.step
        progress.validated = step
        if self.rule.counts(value, progress.counted):
            progress.counted, progress.waited = value, 0
        else:
            progress.waited += 1
        if self.rule.is_best(value, loss, progress.best):
            state = dict(self.task.state)  # with the thresholds that belong to these weights
            progress.best = {"step": step, "value": value, "loss": loss, "state": state}
            self.checkpoints.save_best()
