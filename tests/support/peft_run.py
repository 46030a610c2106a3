"""A tiny classifier that a method of parameter-efficient fine-tuning was put into, and its training step."""

import keras
import numpy as np
from support.task_rows import DEVICE

from kerasft.config.schema import Config
from kerasft.data.batching.dataset import distribute
from kerasft.models.blocks import transformer_blocks
from kerasft.models.heads.text_classifier import build_classifier
from kerasft.peft.registry import put_method
from kerasft.tasks.registry import create_task
from kerasft.training.batches import Batches
from kerasft.training.objectives.task_loss import TaskLoss
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step

# An update is the gradient itself.
PLAIN = {"name": "sgd", "momentum": 0.0, "learning_rate": 1.0, "clip_norm": None, "weight_decay": 0.0}
PLAIN |= {"schedule": "constant", "warmup": 0.0}


def peft_config(peft: dict, **sections) -> Config:
    training = {"batch_size": 8, "optimizer": PLAIN, "steps": 8, **sections.pop("training", {})}
    return Config.model_validate(
        {
            "name": "t",
            "task": {"name": "text_classification"},
            "model": {"preset": "x", "max_length": 16, "peft": peft},
            "data": {"train": "x", "columns": {"text": "text", "label": "label"}, "batching": "pack"},
            "training": training,
            **sections,
        }
    )


class PeftRun:
    """The model, its method, and steps of it that run without being traced.

    Args:
        peft: the section `model.peft`.
        backbone: without dropout.
        rows: a prepared split.
    """

    def __init__(self, peft: dict, backbone: keras.Model, rows, **sections):
        self.config, self.backbone, self.rows = peft_config(peft, **sections), backbone, rows
        self.task = create_task(self.config, {"labels": ["a", "b"]})
        self.model = build_classifier(backbone, 2, pooling="cls")
        weights = {id(weight): weight for weight in (*backbone.weights, *self.model.weights)}.values()
        for variable in weights:  # none is zero, so that every gradient shows
            variable.assign(variable + 0.4 * keras.random.normal(variable.shape, seed=1))
        self.base = [weight.numpy() for weight in backbone.weights]
        self.features, self.targets, self.weights = rows.batch(np.arange(8))
        self.before = self.logits()
        rows = np.unique(self.features["token_ids"])[-3:] if "tokens" in peft and peft["method"] != "prefix" else ()
        self.method = put_method(self.config, self.model, backbone, fresh=rows)
        self.method.begin(8)
        self.start = [variable.numpy() for variable in self.model.variables]

    def disturb(self) -> None:
        """The method's weights are no longer those of the start, which hide the gradients of others."""
        for place, variable in enumerate(self.method.variables.values()):
            variable.assign(variable + 0.1 * keras.random.normal(variable.shape, seed=place))
        self.start = [variable.numpy() for variable in self.model.variables]

    @property
    def trained(self) -> list[keras.Variable]:
        return self.model.trainable_variables

    def logits(self) -> np.ndarray:
        return self.model(self.features, training=False).numpy()

    def step_logits(self) -> np.ndarray:
        """What the model gives in a step."""
        with self.method.installed():
            return self.logits()

    def reset(self) -> None:
        for variable, value in zip(self.model.variables, self.start):
            variable.assign(value)

    def steps(self, count: int = 1, forms=(), packs=False, recomputed=False, microbatches=1) -> list[np.ndarray]:
        """The changes of all that trains by some steps from the start."""
        self.reset()
        self.optimizer = optimizer = create_optimizer(self.config.training, 8, self.model, {}, rates=self.method.rates)
        batches = Batches.of(self.config, self.model, self.rows, 8, 1, False)
        plan = StepPlan(
            model=self.model,
            objective=TaskLoss(self.model, self.task),
            optimizer=optimizer,
            strategy=DEVICE,
            fused=forms,
            packed=batches.packed if packs else None,
            recomputed=transformer_blocks(self.backbone) if recomputed else (),
            microbatches=microbatches,
            method=self.method,
        )
        self.step, packing = make_train_step(plan), batches.packing if packs else None
        self.data = lambda first: distribute(
            self.rows, lambda: batches.from_step(first), DEVICE, microbatches, None, first, packing
        )
        begun = [variable.numpy() for variable in self.trained]
        self.go_on(0, count)
        return [variable.numpy() - value for variable, value in zip(self.trained, begun)]

    def go_on(self, first: int, last: int) -> None:
        """Steps as the last call of `steps` took them, from the one after `first`."""
        for batch, _ in zip(self.data(first), range(last - first)):
            self.step(batch)
