"""What a method puts into a model beside its backbone and head, such as adapters, as a part that is saved by name."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import keras
import numpy as np

from kerasft.errors import UserError
from kerasft.models.named_weights import load_variables

Registered = TypeVar("Registered", bound="type[Part]")


class Part(abc.ABC):
    """Layers and weights that a method has put into a backbone.

    They are saved to `NAME.weights.npz` beside the backbone, which is saved as it is without them. A model is loaded
    the other way round: `put_in` makes the layers anew from `settings`, then the weights are read.

    Attributes:
        name: of the part and of its file: small letters and `_`.
    """

    name: ClassVar[str]

    @property
    @abc.abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """All that `put_in` needs, JSON-able."""

    @property
    @abc.abstractmethod
    def layers(self) -> list[keras.layers.Layer]:
        """The layers that were put in."""

    @property
    def beside(self) -> list[keras.layers.Layer]:
        """Those of `layers` that no layer of the backbone holds, so that the model has to."""
        return []

    @property
    @abc.abstractmethod
    def variables(self) -> Mapping[str, keras.Variable]:
        """What is saved, by names that are the same each time the part is put in."""

    @property
    def stored(self) -> Mapping[str, np.ndarray]:
        """Their values, where other ones are saved than the part trains."""
        return {name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in self.variables.items()}

    def file_in(self, folder: Path) -> Path:
        """Where it is saved in the folder of a model."""
        return folder / f"{self.name}.weights.npz"

    @abc.abstractmethod
    def taken_out(self) -> AbstractContextManager[None]:
        """A context in which the backbone is as KerasHub made it, and can be saved."""

    @classmethod
    @abc.abstractmethod
    def put_in(cls, backbone: keras.Model, settings: Mapping[str, Any]) -> Part:
        """Puts the part's layers into a backbone as KerasHub makes it."""


PARTS: dict[str, type[Part]] = {}


def register_part(kind: Registered) -> Registered:
    """A class decorator: models that were saved with this part can be loaded.

    Raises:
        ValueError: the name is taken, or can't be a file's.
    """
    if not re.fullmatch("[a-z_]+", kind.name) or kind.name == "head" or kind.name in PARTS:
        raise ValueError(f"{kind.__name__}: {kind.name!r} can't be the name of a part")
    PARTS[kind.name] = kind
    return kind


def load_parts(saved: Iterable[Mapping[str, Any]], folder: Path, backbone: keras.Model) -> tuple[Part, ...]:
    """Puts parts into a backbone, with the weights that the folder of a model has for them.

    Args:
        saved: `name` and `settings` of each.
        folder: with a file of each.
        backbone: as KerasHub makes it.

    Raises:
        UserError: a part is not known here, or its file is not whole.
    """
    parts: list[Part] = []
    for each in saved:
        if each["name"] not in PARTS:
            raise UserError(f"{folder}: there is no part {each['name']!r} here; import what registers it")
        parts.append(PARTS[each["name"]].put_in(backbone, each["settings"]))
        load_variables(parts[-1].file_in(folder), parts[-1].variables)
    return tuple(parts)
