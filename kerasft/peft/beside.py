"""Methods that put an adapter beside some linear layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from kerasft.models.layer_classes import Changes
from kerasft.peft.base import Method
from kerasft.peft.forms import LayerAdapter, Values, adapted


class Beside(Method):
    """A method of adapters, one a linear layer, whose variables are in the bank."""

    @property
    def beside(self) -> Sequence[LayerAdapter]:
        """The adapters, in the order of the layers."""
        raise NotImplementedError

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        return {f"{a.target.path}/{name}": variable for a in self.beside for name, variable in a.variables.items()}

    @property
    def depths(self) -> Mapping[str, int]:
        return {variable.path: a.target.depth for a in self.beside for variable in a.variables.values()}

    def changes(self) -> Changes:
        return adapted(self.beside)

    def merged_values(self) -> Values:
        for adapter in self.beside:
            yield from adapter.merged()
