"""The optimizer of a model that was not compiled: the defaults of a config, as Keras' own class has them."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerasft.config.optimizer import OptimizerConfig
from kerasft.training.weight_decay import decayed


def default_optimizer(variables: Sequence[keras.Variable]) -> keras.optimizers.Optimizer:
    """AdamW with a constant learning rate, clipped gradients, and weight decay where it belongs.

    Args:
        variables: that are trained.
    """
    defaults = OptimizerConfig.model_validate({})
    optimizer = keras.optimizers.AdamW(
        defaults.learning_rate,
        weight_decay=defaults.weight_decay,
        epsilon=defaults.epsilon,
        global_clipnorm=defaults.clip_norm,
    )
    if spared := [variable for variable in variables if not decayed(variable)]:
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer
