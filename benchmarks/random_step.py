"""The trainer's own step on random tokens, for what a step costs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.models.blocks import layer_depths
from kerasft.models.presets.presets import load_backbone, resolve_preset
from kerasft.peft.registry import put_method
from kerasft.tasks.registry import create_task
from kerasft.training.fit import recomputed_layers
from kerasft.training.layers.deferred_rows import deferrable_layers
from kerasft.training.layers.fused_layers import KERNELS, chosen_forms
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

LABELS = 77


def random_step(config: Config, rows: int, length: int) -> Callable[[], float]:
    """A step of a classifier or of text_generation, traced at its first call; answers its loss.

    Args:
        config: preset, optimizer, and what the step is made of.
        rows: of the batch.
        length: tokens of each row; none is padding.
    """
    strategy, training = tf.distribute.OneDeviceStrategy("/cpu:0"), config.training
    task = create_task(config, {"labels": [str(i) for i in range(LABELS)]})
    forms = chosen_forms(training.fused)
    with strategy.scope():
        backbone = load_backbone(resolve_preset(config.model.preset), dtype="float32")
        model = task.build(backbone)
        method = put_method(config, model, backbone) if config.model.peft else None
        rates = method.begin(1000) if method else {}
        deferred = deferrable_layers(training, model, forms, 1)
        optimizer = create_optimizer(training, 1000, model, layer_depths(backbone), deferred, KERNELS in forms, rates)
    random = np.random.default_rng(0)
    known = {
        "token_ids": random.integers(1, backbone.vocabulary_size, (rows, length)),
        "padding_mask": np.ones((rows, length)),
        "segment_ids": np.zeros((rows, length)),
    }
    features = {name: tf.constant(known[name], tf.int32) for name in model.input}
    says = np.roll(known["token_ids"], -1, axis=1) if task.writes else random.integers(0, LABELS, rows)
    batch = (features, tf.constant(says, tf.int32), tf.ones(rows))
    layers = recomputed_layers(config, backbone)
    plan = StepPlan(
        model=model,
        objective=TaskLoss(model, task),
        optimizer=optimizer,
        strategy=strategy,
        accumulation=training.gradient_accumulation,
        fused=forms,
        recomputed=layers,
        microbatches=training.parallel_microbatches or 1,
        method=method,
    )
    compiled = tf.function(make_train_step(plan))
    return lambda: float(compiled(batch))
