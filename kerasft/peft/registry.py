"""Which class is which method."""

from __future__ import annotations

import keras

from kerasft.config.schema import Config
from kerasft.peft.base import Method
from kerasft.peft.bitfit import Bitfit
from kerasft.peft.layernorm import Layernorm
from kerasft.peft.lora import Lora

METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (Lora, Bitfit, Layernorm)}


def put_method(config: Config, model: keras.Model, backbone: keras.Model) -> Method:
    """Puts the method of `model.peft` into a model, in the strategy's scope: its backbone is frozen from here on.

    Raises:
        UserError: the backbone has nothing that the method could change, or not as the config says.
    """
    section = config.model.peft
    method = METHODS[section.method](section, model, backbone, config.seed)
    for layer in method.layers:
        model.peft = layer  # its weights and random states are the model's, and no layer of its graph
    return method
