"""The optimizer of a config: a Keras optimizer with the few things fine-tuning needs besides."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasft.config.optimizer import OptimizerConfig
from kerasft.config.training import TrainingConfig
from kerasft.errors import UserError
from kerasft.kernels import operations
from kerasft.training.layers.deferred_rows import DeferredRows
from kerasft.training.weight_decay import decayed
from kerasft.training.weight_means import share_kept

# `norm`: of the gradient, `scale`: what clipping multiplies it by, `young`: what corrects for moments that began at
# nothing; replicas are traced in threads of their own
_traced = threading.local()


def create_optimizer(
    config: TrainingConfig,
    steps: int,
    model: keras.Model,
    depths: Mapping[str, int],
    deferred: Sequence[keras.layers.Layer] = (),
    kernels: bool = False,
    rates: Mapping[str, float] | None = None,
) -> keras.optimizers.Optimizer:
    """Builds the optimizer for the model's trainable variables.

    Args:
        config: the training section.
        steps: all the steps of the run, for the schedule.
        model: already frozen as the config says.
        depths: variable path -> depth in the backbone; a variable it lacks belongs to the head.
        deferred: embedding layers of which a step updates the rows it uses alone; see `deferrable_layers`.
        kernels: Adam and AdamW clip, decay and update in one pass of our own (`kerasft.kernels`); for one replica.
        rates: variable path -> what its learning rate is multiplied by besides.
    """
    settings = config.optimizer
    common = dict(
        learning_rate=WarmupSchedule(settings, steps),
        weight_decay=settings.weight_decay,
        use_ema=config.averages_steps,
    )
    kind, own = {
        "adamw": (keras.optimizers.AdamW, {"epsilon": settings.epsilon}),
        "adam": (keras.optimizers.Adam, {"epsilon": settings.epsilon}),
        "sgd": (keras.optimizers.SGD, {"momentum": settings.momentum}),
        "adafactor": (keras.optimizers.Adafactor, {"relative_step": False}),
        "lion": (keras.optimizers.Lion, {}),
        "lamb": (keras.optimizers.Lamb, {"epsilon": settings.epsilon}),
    }[settings.name]
    optimizer = fine_tuning(kind)(**common, **own)
    optimizer.clip_after_sum = settings.clip_norm
    optimizer.share_kept = share_kept(config, steps)
    variables = model.trainable_variables
    if not variables:
        raise UserError("model.trainable: nothing is left to train")
    spared = [v for v in variables if not decayed(v)]
    if spared:
        optimizer.exclude_from_weight_decay(var_list=spared)
    optimizer.build(variables)
    factors, rates = _factors(settings, variables, depths), rates or {}
    optimizer.factors = {optimizer._var_key(v): f * rates.get(v.path, 1.0) for v, f in zip(variables, factors)}
    optimizer.defer(deferred, steps)
    optimizer.in_one_pass = kernels and isinstance(optimizer, keras.optimizers.Adam)
    return optimizer


def _factors(config: OptimizerConfig, variables: Sequence, depths: Mapping[str, int]) -> Iterator[float]:
    """What the learning rate of each variable is multiplied by."""
    top = max(depths.values(), default=0) + 1
    head = (config.head_learning_rate or config.learning_rate) / config.learning_rate
    for variable in variables:
        yield config.layer_decay ** (top - depths[variable.path]) if variable.path in depths else head


class _FineTuning(keras.optimizers.Optimizer):
    """What fine-tuning adds to a Keras optimizer: it clips after the sum over replicas, scales the rate by layer, fuses
    Adam and defers rows.

    Keras 3 (3.12 to 3.15) clips each replica's gradient before it is summed, has one learning rate for
    all variables, and assigns moving averages in a way that a mirrored variable refuses. Its private
    methods are overridden here and nowhere else; tests/training/test_optimizer.py fails when they move.
    """

    clip_after_sum: float | None = None
    share_kept: Callable[[tf.Tensor], tf.Tensor]  # of `weight_means`
    factors: Mapping[str, float] = {}
    deferred: tuple[tuple[keras.layers.Layer, DeferredRows], ...] = ()
    in_one_pass = False

    def defer(self, layers: Sequence[keras.layers.Layer], steps: int) -> None:
        """From now on the gradient of these layers' tables has the rows that a batch uses; for Adam's forms."""
        tables = []
        for layer in layers:
            variable = layer.embeddings
            index, factor = self._get_variable_index(variable), self._factor(variable)
            rates = factor * keras.ops.convert_to_numpy(self._learning_rate(np.arange(steps)))
            decays = rates * (self.weight_decay or 0.0) * self._use_weight_decay(variable)
            moments = self._momentums[index], self._velocities[index]
            table = DeferredRows(variable, moments, rates, decays, (self.beta_1, self.beta_2), self.epsilon)
            self._track_variable(table.last_steps)
            tables.append((layer, table))
        self.deferred = tuple(tables)

    def averages(self) -> Iterator[tuple[keras.Variable, np.ndarray]]:
        """Each weight that trains, and its mean over steps; none without `training.ema` or `swa`."""
        means = self._model_variables_moving_average if self.use_ema else ()
        for variable, mean in zip(self._trainable_variables, means):
            yield variable, keras.ops.convert_to_numpy(mean)

    def _table(self, variable) -> DeferredRows | None:
        key = self._var_key(variable)
        return next((table for _, table in self.deferred if self._var_key(table.variable) == key), None)

    def apply_measured(self, gradients: Sequence[tf.Tensor | tf.IndexedSlices], variables) -> tf.Tensor:
        """`apply`; gives the norm of the gradient over all variables, summed over replicas, before it is clipped."""
        self.apply(gradients, variables)
        return _traced.norm

    def _all_reduce_sum_gradients(self, grads_and_vars):
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)
        gradients, variables = zip(*reduced)
        norm = _traced.norm = tf.linalg.global_norm(gradients)
        if self.in_one_pass:
            step = tf.cast(self.iterations + 1, tf.float32)
            _traced.young = tf.sqrt(1.0 - tf.pow(self.beta_2, step)) / (1.0 - tf.pow(self.beta_1, step))
            _traced.scale = self._clip_scale(norm)
            return reduced
        if self.clip_after_sum is None:
            return reduced
        return list(zip(tf.clip_by_global_norm(gradients, self.clip_after_sum, norm)[0], variables))

    def _clip_scale(self, norm: tf.Tensor) -> tf.Tensor:
        """As `tf.clip_by_global_norm` has it: no number where the norm is none."""
        most = self.clip_after_sum
        return tf.ones([]) if most is None else most * tf.minimum(1.0 / norm, 1.0 / most) + (norm - norm)

    def update_step(self, gradient, variable, learning_rate):
        rate = learning_rate * self._factor(variable)
        if table := self._table(variable):
            decay = rate * (self.weight_decay or 0.0) * self._use_weight_decay(variable)
            if self.in_one_pass:
                gradient = tf.IndexedSlices(gradient.values * _traced.scale, gradient.indices, gradient.dense_shape)
            return table.update(gradient, rate, decay, self.iterations.value)
        if self.in_one_pass:
            return self._one_pass(gradient, variable, rate)
        if isinstance(self, keras.optimizers.Adam):
            return self._fused_adam(gradient, variable, rate)
        return super().update_step(gradient, variable, rate)

    def _one_pass(self, gradient, variable, rate):
        index, decays = self._get_variable_index(variable), self.weight_decay and self._use_weight_decay(variable)
        moments = self._momentums[index].value, self._velocities[index].value
        decay = 1.0 - rate * self.weight_decay if decays else tf.ones([])
        numbers = _traced.scale, rate * _traced.young, decay
        return operations.adam(variable, moments, gradient, *numbers, (self.beta_1, self.beta_2), self.epsilon)

    def _fused_adam(self, gradient, variable, rate):
        """Adam's update in one pass over memory, where Keras makes some ten; the same formula and slots."""
        index, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, tf.float32)
        return tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )

    def _apply_weight_decay(self, variables):
        if not self.weight_decay or self.in_one_pass:  # nothing to do, and a pass over all weights to save
            return
        rate = self.learning_rate * self.weight_decay

        def decay(variable):
            shrink = 1.0 - tf.cast(rate * self._factor(variable), variable.dtype)
            variable.assign(variable * shrink)

        whole = [v for v in variables if self._use_weight_decay(v) and self._table(v) is None]
        self._on_each_device(whole, decay)

    def _update_model_variables_moving_average(self, trainable_variables):
        momentum = self.share_kept(self.iterations.value)

        def average(variable, mean):
            mean.assign(momentum * mean + (1.0 - momentum) * variable)

        # `update` visits the copies of the first variable and hands over the matching copy of the other
        self._on_each_device(trainable_variables, average, self._model_variables_moving_average)

    def _factor(self, variable) -> float:
        return self.factors.get(self._var_key(variable), 1.0)

    def _on_each_device(self, variables, update, others=None) -> None:
        def merged(distribution):
            for i, variable in enumerate(variables):
                args = () if others is None else (_tf_variable(others[i]),)
                distribution.extended.update(_tf_variable(variable), update, args=args, group=False)

        tf.__internal__.distribute.interim.maybe_merge_call(merged, self._distribution_strategy)


def fine_tuning(kind: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """A Keras optimizer class -> the one of that name that fine-tunes."""
    return type(kind.__name__, (_FineTuning, kind), {})


def _tf_variable(variable) -> tf.Variable:
    return variable.value if isinstance(variable, keras.Variable) else variable


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak, then linear, cosine or polynomial decay to `end_factor`, or constant.

    Args:
        config: the optimizer section.
        steps: number of the run's last step, at which the decay ends.
    """

    def __init__(self, config: OptimizerConfig, steps: int):
        self.config, self.steps = config, steps
        warmup = config.warmup * steps if config.warmup < 1 else config.warmup
        self.warmup_steps = min(math.ceil(warmup), steps)

    def __call__(self, step):
        config = self.config
        step = ops.cast(step, "float32") + 1.0  # the first step has number 1, so that it learns something too
        rising = step / max(1, self.warmup_steps)
        remaining = 1.0 - (step - 1.0 - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        remaining = ops.clip(remaining, 0.0, 1.0)
        falling = {
            "constant": lambda: ops.ones_like(remaining),
            "linear": lambda: remaining,
            "cosine": lambda: 0.5 * (1.0 - ops.cos(math.pi * remaining)),
            "polynomial": lambda: remaining**config.power,
        }[config.schedule]()
        if config.schedule != "constant":
            falling = config.end_factor + (1.0 - config.end_factor) * falling
        return config.learning_rate * ops.where(step <= self.warmup_steps, rising, falling)

    def get_config(self):
        return {"config": self.config.model_dump(), "steps": self.steps}
