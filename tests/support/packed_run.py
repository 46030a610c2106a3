"""A model that trains on packed batches, or on the same rows one by one."""

import keras
import numpy as np
import tensorflow as tf
from support.task_rows import DEVICE

from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.data.batching.dataset import distribute
from kerasft.data.prepared.beside import with_beside
from kerasft.data.splits import load_splits
from kerasft.models.blocks import transformer_blocks
from kerasft.tasks.registry import create_task
from kerasft.training.batches import Batches
from kerasft.training.layers.deferred_rows import deferrable_layers
from kerasft.training.objectives.base import MakeObjective
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step


class Run:
    """A model of one layer under a strategy, whose weights are so large that every gradient shows."""

    def __init__(self, config: Config, strategy=DEVICE, objective: MakeObjective = TaskLoss):
        keras.utils.set_random_seed(1)
        self.config, self.strategy, self.task = config, strategy, create_task(config)
        self.task.check_config()
        tables = load_splits(config, self.task)
        with strategy.scope():
            built = assemble(config, self.task, train=tables["train"], preset=config.model.preset)
        self.model, preprocessor = built.model, built.preprocessor
        rows = self.task.prepare(tables["train"], preprocessor, weighted=True)
        self.backbone = built.backbone
        with strategy.scope():
            self.objective = objective(self.model, self.task)
        self.rows = with_beside(rows, self.objective.beside_targets(rows))
        random = np.random.default_rng(2)
        self.weights = [value + 0.2 * random.normal(size=value.shape) for value in self.model.get_weights()]

    def trained(self, packs=True, steps=1, fused=(), static=False, recomputed=False, eager=False, **training):
        """Losses and changes of the weights after some steps on batches that are composed for packing."""
        changed = training | {"steps": steps}
        config = self.config.model_copy(update={"training": self.config.training.model_copy(update=changed)})
        self.model.set_weights(self.weights)
        replicas = self.strategy.num_replicas_in_sync
        with self.strategy.scope():
            deferred = deferrable_layers(config.training, self.model, fused, replicas)
            optimizer = create_optimizer(config.training, steps, self.model, {}, deferred)
        self.deferred = len(deferred)
        parts, size = config.training.gradient_accumulation, 8
        microbatches = config.training.parallel_microbatches or 1
        batches = Batches.of(config, self.model, self.rows, size, replicas, static)
        assert batches.epochs.method == "pack" and (batches.packing.shape is not None) == static
        packed = batches.packed if packs else None
        blocks = transformer_blocks(self.backbone) if recomputed else ()
        plan = StepPlan(
            self.model, self.objective, optimizer, self.strategy, parts, fused, packed, blocks, static, microbatches
        )  # fmt: skip
        step = make_train_step(plan)
        step = step if eager else tf.function(step, jit_compile=static or None, autograph=False)
        dataset = distribute(
            self.rows, lambda: batches.from_step(0), self.strategy, parts * microbatches, size if static else None, 0,
            batches.packing if packs else None,
        )  # fmt: skip
        losses = [float(step(batch)) for batch, _ in zip(dataset, range(steps))]
        return losses, [after - before for after, before in zip(self.model.get_weights(), self.weights)]


def assert_same(one, other):
    """Two results of `trained` are the same, and most weights have moved."""
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5, atol=1e-6)
    scale = max(1.0, *(np.abs(change).max() for change in one[1]))
    assert sum(np.abs(change).max() > 1e-3 for change in one[1]) > 10
    for mine, theirs in zip(one[1], other[1]):
        np.testing.assert_allclose(mine / scale, theirs / scale, atol=1e-5)
