"""Layers that have other classes for a while: how a training step runs KerasHub's models in forms of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

Changes = list[tuple[keras.layers.Layer, type[keras.layers.Layer]]]


@contextlib.contextmanager
def as_classes(changes: Changes) -> Iterator[None]:
    """Each layer is of the class beside it inside, and of its own again afterwards.

    Args:
        changes: no layer twice.
    """
    before = [type(layer) for layer, _ in changes]
    for layer, kind in changes:
        layer.__class__ = kind
    try:
        yield
    finally:
        for (layer, _), kind in zip(changes, before):
            layer.__class__ = kind
