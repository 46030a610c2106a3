"""The training loop: Orbit's controller over a Keras 3 model, from the first step or from a checkpoint."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from collections.abc import Iterator
from typing import Any

import keras
import orbit
import tensorflow as tf

from kerasft.data.batching.dataset import distribute, wants_one_shape
from kerasft.data.batching.remote_hosts import HERE, remote_hosts
from kerasft.errors import Diverged
from kerasft.evaluation.evaluate import Evaluator
from kerasft.training.actions import Running, Training, with_usual_actions
from kerasft.training.actions.signals import StopEvaluation
from kerasft.training.batches import Batches
from kerasft.training.checkpoints.checkpoint import Checkpoints
from kerasft.training.checkpoints.checkpoint_files import Entry
from kerasft.training.exported_weights import exported_weights
from kerasft.training.few_rows_head import FittedHead
from kerasft.training.inner_loop import InnerLoop
from kerasft.training.layers.deferred_rows import deferrable_layers
from kerasft.training.layers.fused_layers import ACTIVATIONS, KERNELS, chosen_forms, fused_layers
from kerasft.training.layers.precision import bfloat16_products, rewrites
from kerasft.training.microbatches import chosen_microbatches
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.plan import TrainingPlan
from kerasft.training.selection import Selection
from kerasft.training.step import StepPlan, make_train_step


class Trainer(orbit.AbstractTrainer, orbit.AbstractEvaluator):
    """Trains a model and validates it as it goes."""

    def __init__(self, plan: TrainingPlan):
        self.plan, self.config, self.task, self.model = plan, plan.config, plan.task, plan.model
        self.strategy, self.workers, self.terminal = plan.strategy, plan.workers, plan.terminal
        self.train_data, self.objective = plan.train, plan.objective or TaskLoss(plan.model, plan.task)
        training, self.rewrites = plan.config.training, rewrites(plan.config.training.precision)
        self.static = wants_one_shape(plan.strategy)
        replicas, hosts = plan.strategy.num_replicas_in_sync, remote_hosts(plan.strategy)
        self.batches = Batches.of(plan.config, plan.model, plan.train, training.batch_size, replicas, self.static)
        self.steps = self.batches.steps
        self.forms = chosen_forms(training.fused, plan.terminal.line, here=not hosts)
        with plan.strategy.scope():
            self.optimizer = self._create_optimizer(replicas)
            # Without a word from us each host would write its variables to its own disk.
            writer, keep = HERE if hosts else None, training.checkpoint.keep
            others = [*self.objective.variables, *(plan.method.untrained if plan.method else ())]
            self.checkpoints = Checkpoints(
                plan.checkpoints, plan.model, self.optimizer, keep, plan.workers, writer, others
            )
        self.progress = self.checkpoints.progress
        self.selection = Selection(training.early_stopping, plan.task, self.progress)
        self.microbatches = chosen_microbatches(plan.config, plan.task, plan.model, plan.strategy)
        self.head = FittedHead(plan, self.microbatches, self.forms)
        self.evaluator = self._create_evaluator()
        # A loop on the device sees no clock, and TensorFlow's is refused where every operation must repeat its bits.
        timed = not self.static and not training.deterministic
        self.run_steps = InnerLoop(make_train_step(self._step_plan()), timed, hosts)

    def _create_optimizer(self, replicas: int) -> keras.optimizers.Optimizer:
        training, model = self.config.training, self.model
        dense = self.static or self.objective.reads_weights
        rows = [] if dense else deferrable_layers(training, model, self.forms, replicas)
        kernels = KERNELS in self.forms and replicas == 1
        rates = self.plan.method.begin(self.steps) if self.plan.method else {}
        return create_optimizer(training, self.steps, model, self.plan.depths, rows, kernels, rates)

    def _create_evaluator(self) -> Evaluator:
        # Activations would be compiled anew for each length of texts.
        lasting = [form for form in self.forms if form != ACTIVATIONS]
        return Evaluator(
            self.model,
            self.strategy,
            self.config.training.evaluation_batch_size,
            condense=self.task.condense,
            microbatches=self.microbatches,
            cheaper=lambda: fused_layers(self.model, lasting),
        )

    def _step_plan(self) -> StepPlan:
        return StepPlan(
            model=self.model,
            objective=self.objective,
            optimizer=self.optimizer,
            strategy=self.strategy,
            accumulation=self.config.training.gradient_accumulation,
            fused=self.forms,
            packed=self.batches.packed,
            recomputed=self.plan.recomputed,
            xla=self.static,
            microbatches=self.microbatches,
            method=self.plan.method,
        )

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
        if changed := self.progress.take_forms(self.forms):
            self.terminal.line(changed)
        if filling := self.batches.filling:
            self.terminal.line(str(filling))
        run = Training(
            checkpoints=self.checkpoints,
            steps=self.steps,
            metric=self.selection.metric,
            saving=training.checkpoint,
            folder=self.plan.folder,
            terminal=self.terminal,
            model=self.model,
        )
        with Running(with_usual_actions(self.plan.actions), run) as self.running:
            self.head.before_steps(self.checkpoints.step)
            if self.objective.solve(self.train_data, self.plan.validation, self.strategy):
                self.steps, self.progress.validated = 0, -1  # there is a validation, and no step before it
            controller = orbit.Controller(
                trainer=self,
                evaluator=self,
                strategy=self.strategy,
                global_step=self.optimizer.iterations.value,
                steps_per_loop=training.steps_per_loop,
                train_actions=[self.running.after_steps],
                eval_actions=[self.running.after_evaluation],
                summary_dir=str(self.plan.folder / "tensorboard") if self.workers.chief else None,
            )
            with self.data_at(self.checkpoints.step), contextlib.redirect_stdout(io.StringIO()):  # Orbit prints, too
                try:
                    self._run(controller)
                except StopEvaluation as ended:
                    ended.stop()
        if self.run_steps.timed and (wait := self.progress.input_wait) is not None:
            self.terminal.line(f"input: steps waited for it {wait:.1%} of their time")
        self.sha256 = self.checkpoints.sha256()
        self.workers.wait()  # the chief may still be writing the best weights
        self.checkpoints.restore_best()
        self.task.state.update(self.progress.best["state"])

    def replay(self, entry: Entry, last_step: int) -> str:
        """Goes from a checkpoint to a later step, without saving or validating; SHA-256 of the state there."""
        self.checkpoints.load(entry)
        loop = self.config.training.steps_per_loop
        with self.data_at(entry.step), bfloat16_products(self.rewrites):
            for step in range(entry.step, last_step, loop):
                self.run_steps(self.iterator, min(loop, last_step - step))
        return self.checkpoints.sha256()

    @contextlib.contextmanager
    def data_at(self, first_step: int) -> Iterator[None]:
        """Batches from a step on, until the end of the `with`: TensorFlow complains of a pipeline that outlives Python.

        The plan is read twice, by the pipeline and for the count of tokens.
        """
        training, batches = self.config.training, self.batches
        self.progress.parts = batches.going_on(self.progress.parts)
        parts, size = training.gradient_accumulation * self.microbatches, training.batch_size if self.static else None
        dataset = distribute(
            self.train_data, lambda: batches.from_step(first_step), self.strategy, parts, size, first_step,
            batches.packing,
        )  # fmt: skip
        self.iterator, self.rows = iter(dataset), batches.from_step(first_step)
        try:
            yield
        finally:
            del self.iterator, self.rows

    def figures(self) -> dict[str, Any]:
        """What `metrics.json` says of the training: times in seconds, rates over the time spent in steps.

        `input_wait` is the share of `step_seconds` in which a step had no batch yet, None where that is not known (a
        TPU of one host) or there were no steps; `sha256` that of the whole state after the last step.
        """
        return {
            **self.progress.rates(),
            "input_wait": self.progress.input_wait if self.run_steps.timed else None,
            "steps": self.checkpoints.step,
            "best_step": self.progress.best["step"],
            "sha256": self.sha256,
            "replicas": self.strategy.num_replicas_in_sync,
        }

    def _run(self, controller: orbit.Controller) -> None:
        saving = self.config.training.checkpoint.every_steps or self.steps
        while True:
            step = self.checkpoints.step
            over = step >= self.steps or self.running.training.enough
            due = over or step == self._evaluation_after(step - 1)
            fresh = step > self.progress.validated or (not self.steps and not self.progress.best)
            if due and fresh:
                controller.evaluate(steps=-1)
            elif over or self.selection.enough:
                return
            else:
                # Orbit cuts its last loop short, so that with any steps_per_loop nothing is evaluated or saved late.
                stops = self._evaluation_after(step), (step // saving + 1) * saving
                controller.train(min(self.steps, *stops), checkpoint_at_completion=False)

    def _evaluation_after(self, step: int) -> int:
        """The next step behind this one that is validated."""
        every = self.steps if self.head.left_out_only else self.config.training.evaluate_every
        return (step // every + 1) * every if every else self.batches.epochs.end_after(step)

    def train(self, num_steps: tf.Tensor) -> dict[str, Any]:
        """Orbit's inner loop: runs some steps and returns figures of them."""
        start, first = time.monotonic(), self.checkpoints.step + 1
        with bfloat16_products(self.rewrites):
            loss, good, waited = self.run_steps(self.iterator, int(num_steps))
        if good < int(num_steps):
            self.workers.final_barrier()
            raise Diverged(
                f"the loss or its gradient is no longer a number at step {first + good}; lower "
                f"training.optimizer.learning_rate or set training.precision to float32. The checkpoints in "
                f"{self.checkpoints.folder} are from before"
            )
        spent = self.progress.spent
        spent["step_seconds"] += time.monotonic() - start
        spent["input_seconds"] += waited
        for rows in itertools.islice(self.rows, int(num_steps)):
            spent["examples"] += len(rows)
            spent["tokens"] += int(self.train_data.tokens[rows].sum())
        return {"loss": loss, "learning_rate": float(self.optimizer.learning_rate)}

    def evaluate(self, num_steps: tf.Tensor) -> dict[str, Any]:
        """Validates with the weights that would be exported; every example counts once."""
        with exported_weights(self.optimizer, self.plan.method):
            logits = self.head.before_validation()
            if logits is None:
                logits = self.evaluator.logits(self.plan.validation, self.running.within_evaluation)
            self.task.tune(self.plan.validation, logits)
            metrics = self.task.metrics(self.plan.validation, logits)
            if self.plan.method and not self.plan.method.settled(self.progress.best.get("step", 0)):
                self.selection.forget()
            if self.selection.take(metrics, self.plan.validation, logits, self.checkpoints.step):
                self.checkpoints.save_best()
        return {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
