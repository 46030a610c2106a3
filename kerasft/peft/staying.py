"""Methods whose layers stay in the model: no weights of the backbone could compute what they do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from pydantic import TypeAdapter

from kerasft.config.peft import PeftConfig
from kerasft.models.layer_classes import Changes, as_classes, own_class
from kerasft.models.parts import Part, register_part
from kerasft.peft.base import Method

STAYING: dict[str, type[Staying]] = {}


class Staying(Method):
    """A method whose forms of layers are there from the beginning, in and outside of steps, and in an export.

    The backbone is saved as KerasHub made it; the part beside it puts the forms in again.
    """

    _forms: Changes = []
    _left = False

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        STAYING[cls.name] = cls

    def stay(self, forms: Changes) -> None:
        """Layers have these forms from here on."""
        self._forms, self._before = forms, [(layer, type(layer)) for layer, _ in forms]
        for layer, kind in forms:
            layer.__class__ = kind

    @property
    def placed(self) -> Mapping[str, Any]:
        """What else `place` needs of the model that the method was put into, JSON-able; nothing where it needs none."""
        return {}

    def place(self, placed: Mapping[str, Any]) -> None:
        """Told where a model is loaded."""

    def leave(self) -> None:
        """Layers have their own classes from here on, and their forms where they are installed alone."""
        for layer, kind in self._before:
            layer.__class__ = kind
        self._left = True

    def changes(self) -> Changes:
        return self._forms if self._left else []

    @contextlib.contextmanager
    def taken_out(self) -> Iterator[None]:
        """Layers have their own classes inside."""
        with as_classes(self._before):
            yield

    @property
    def stored(self) -> Mapping[str, np.ndarray]:
        """What is saved of the method's own, by `PATH_OF_LAYER/NAME`; what is made from it when it is loaded."""
        bank = {id(weight) for weight in self.bank.weights}
        own = {name: weight for name, weight in self.weights.items() if id(weight) in bank}
        return {name: np.array(keras.ops.convert_to_numpy(weight)) for name, weight in own.items()}

    @property
    def part(self) -> StayingPart:
        return StayingPart(self)


@register_part
class StayingPart(Part):
    """The layers of a method that stays, as a part of a model that is saved."""

    name = "peft"

    def __init__(self, method: Staying):
        self.method = method

    @property
    def settings(self) -> Mapping[str, Any]:
        settings = self.method.config.model_copy(update={"start": None}).model_dump(mode="json")
        settings |= {"reparameterize": False} if "reparameterize" in settings else {}
        return settings | ({"placed": self.method.placed} if self.method.placed else {})

    @property
    def layers(self) -> list[keras.layers.Layer]:
        return self.method.layers

    @property
    def beside(self) -> list[keras.layers.Layer]:
        return self.method.layers

    @property
    def variables(self) -> Mapping[str, keras.Variable]:
        bank = {id(weight) for weight in self.method.bank.weights}
        return {name: weight for name, weight in self.method.weights.items() if id(weight) in bank}

    @property
    def stored(self) -> Mapping[str, np.ndarray]:
        return self.method.stored

    def taken_out(self) -> contextlib.AbstractContextManager[None]:
        return self.method.taken_out()

    @classmethod
    def put_in(cls, backbone: keras.Model, settings: Mapping[str, Any]) -> Part:
        placed = settings.get("placed", {})
        config = TypeAdapter(PeftConfig).validate_python({k: v for k, v in settings.items() if k != "placed"})
        trainable = [(weight, weight.trainable) for weight in backbone.weights]
        method = STAYING[config.method](config, backbone, backbone, 0)
        method.place(placed)
        for weight, was in trainable:  # a method freezes them, a model that is loaded has them as they were
            weight.trainable = was
        return cls(method)


def staying_layers(backbone: keras.Model) -> list[keras.layers.Layer]:
    """Layers of a backbone that have a form which stays."""
    return [layer for layer in backbone._flatten_layers() if type(layer) is not own_class(layer)]
