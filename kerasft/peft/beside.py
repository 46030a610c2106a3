"""Methods that put an adapter beside some linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import keras

from kerasft.models.layer_classes import Changes
from kerasft.peft.base import Method
from kerasft.peft.forms import LayerAdapter, Values, adapted

AdapterT = TypeVar("AdapterT", bound=LayerAdapter)


class Beside(Method, Generic[AdapterT]):
    """A method of `adapters`, one a linear layer, whose variables are in the bank."""

    adapters: list[AdapterT]

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        return {f"{a.target.path}/{name}": variable for a in self.adapters for name, variable in a.variables.items()}

    @property
    def depths(self) -> Mapping[str, int]:
        return {variable.path: a.target.depth for a in self.adapters for variable in a.variables.values()}

    def changes(self) -> Changes:
        return adapted(self.adapters)

    def merged_values(self) -> Values:
        for adapter in self.adapters:
            yield from adapter.merged()
