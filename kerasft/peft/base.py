"""The contract of a method: what trains, what a step computes, and what is exported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from kerasft.models.layer_classes import Changes, as_classes
from kerasft.models.swapped_weights import swapped_in
from kerasft.peft.targets import Target

Values = Iterator[tuple[keras.Variable, np.ndarray]]


class Bank(keras.layers.Layer):
    """The weights of a method, as one layer of the whole model that lies outside its backbone.

    It is never called. Variables are float32 whatever the policy; names have a dot where paths have a slash.
    """

    def __init__(self):
        super().__init__(name="peft", dtype="float32")
        self.built = True

    def add(self, path: str, value: np.ndarray, trainable: bool = True) -> keras.Variable:
        """A variable with this value."""
        return self.add_weight(
            name=path.replace("/", "."),
            shape=value.shape,
            initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(value, dtype),
            dtype="float32",
            trainable=trainable,
        )


class Method:
    """A backbone with all of its weights frozen but for those that a method trains in it or beside it.

    A method is made in the strategy's scope. Its backbone stays as KerasHub made it: in a step of training layers have
    the forms of `changes`; everywhere else `merged` gives the weights that compute the same without any form.

    Args:
        config: the section `model.peft`.
        model: features -> logits; what it does not read of its backbone has no gradient, and does not train.
        backbone: pre-trained.
        seed: of what is drawn.

    Attributes:
        name: value of `model.peft.method`.
        bank: its weights outside the backbone.
    """

    name: ClassVar[str]

    def __init__(self, config: Any, model: keras.Model, backbone: keras.Model, seed: int):
        self.config, self.model, self.backbone, self.seed = config, model, backbone, seed
        for variable in backbone.weights:
            variable.trainable = False
        self.bank = Bank()

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers that were put into the model."""
        return [self.bank]

    @property
    def variables(self) -> Mapping[str, keras.Variable]:
        """All that an adapter consists of, by `PATH_OF_LAYER/NAME`."""
        raise NotImplementedError

    @property
    def depths(self) -> Mapping[str, int]:
        """Path of each variable of the bank -> depth of its layer, for the layer-wise learning rate."""
        return {}

    @property
    def rates(self) -> Mapping[str, float]:
        """Path of a variable -> what its learning rate is multiplied by, where that is not 1."""
        return {}

    def changes(self) -> Changes:
        """The forms that layers have in a step, each before the form that the layer has by now."""
        return []

    def merged_values(self) -> Values:
        """Variables of the backbone, and what they are once the adapter is merged into them."""
        return iter(())

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Layers compute what the method adds inside."""
        with as_classes(self.changes()):
            yield

    @contextlib.contextmanager
    def merged(self) -> Iterator[None]:
        """The backbone's weights hold base and adapter inside, and every bit of the base again afterwards."""
        with swapped_in(self.merged_values()):
            yield

    def draw(self, target: Target, place: int) -> np.random.Generator:
        """Numbers for a layer, the same whatever other layers have an adapter."""
        return np.random.default_rng([self.seed, place, target.inner, target.outer])
