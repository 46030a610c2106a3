"""The linear layers of a backbone: which there are, what they are called, and which of them a config means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from kerasft.errors import UserError
from kerasft.models.blocks import layer_depths, transformer_blocks
from kerasft.models.layer_classes import own_class

_QUERY_VALUE = ("query", "value", "query_projector", "value_projector")
_SHOWN = 12  # names in a message


@dataclass(frozen=True)
class Target:
    """A linear layer, as a matrix.

    Attributes:
        path: of the layer in its backbone, such as `transformer_layer_0/self_attention_layer/query`.
        layer: a Dense or EinsumDense.
        inner: numbers that it reads of each token.
        outer: numbers that it gives.
        depth: 1 to N in the N transformer layers, see `layer_depths`.
    """

    path: str
    layer: keras.layers.Layer
    inner: int
    outer: int
    depth: int

    def matrix(self) -> np.ndarray:
        """(inner, outer), a copy of the kernel."""
        return keras.ops.convert_to_numpy(self.layer.kernel).reshape(self.inner, self.outer).copy()


def find_targets(
    model: keras.Model, backbone: keras.Model, which: str | Sequence[str], layers: str = "all"
) -> list[Target]:
    """The linear layers that `model.peft.targets` and `model.peft.layers` name, in the order of the weights.

    Args:
        model: features -> logits; a layer of the backbone that it does not read, such as a pooler, is no target.
        backbone: a KerasHub backbone; a head is no part of it.
        which: `all_linear`, `attention` or `query_value` of the transformer layers; names, each the end of a path; or
            a regular expression that a whole path fits.
        layers: `all`, or `last_N` transformer layers.

    Raises:
        UserError: a name fits no linear layer, or nothing is left.
    """
    read = {id(variable) for variable in model.weights}
    every = [target for target in linear_layers(backbone) if id(target.layer.kernel) in read]
    last = first_depth(backbone, layers)
    if which == "all_linear":
        found = [target for target in every if in_blocks(target, backbone)]
    elif which == "attention":
        found = [target for target in every if _attends(target)]
    elif which == "query_value":
        found = [target for target in every if _attends(target) and target.path.rsplit("/", 1)[-1] in _QUERY_VALUE]
    elif isinstance(which, str):
        found = [target for target in every if re.fullmatch(which, target.path)]
    else:
        found = _named(every, which, backbone)
    found = [target for target in found if layers == "all" or target.depth >= last]
    if not found:
        raise UserError(_nothing(backbone, every, which, layers))
    return found


def linear_layers(backbone: keras.Model) -> list[Target]:
    """Every Dense and EinsumDense of a backbone that multiplies by one matrix of its own, each once."""
    return _products(backbone, backbone._flatten_layers(), layer_depths(backbone))


def inner_linear_layers(model: keras.Model) -> list[Target]:
    """The same of any model, without those that are layers of its graph themselves: not a head; every depth is 0."""
    parts = {id(layer): layer for layer in model._flatten_layers()}.values()
    of_graphs = {id(layer) for part in parts if isinstance(part, keras.Model) for layer in part.layers}
    return _products(model, [layer for layer in parts if id(layer) not in of_graphs], {})


def _products(model: keras.Model, layers: Iterable[keras.layers.Layer], depths: Mapping[str, int]) -> list[Target]:
    """Those of some layers that multiply by one matrix of their own, each once, in the order of the model's weights."""
    places = {id(variable): place for place, variable in enumerate(model.weights)}
    parts = {id(layer): layer for layer in layers}.values()
    used = Counter(id(variable) for layer in parts if not layer._layers for variable in layer.weights)
    found = []
    for layer in parts:
        if own_class(layer) in (keras.layers.Dense, keras.layers.EinsumDense) and used[id(layer.kernel)] == 1:
            contracted = contracted_axes(layer)
            if contracted:
                sizes = layer.kernel.shape[:contracted], layer.kernel.shape[contracted:]
                inner, outer = (int(np.prod(size)) for size in sizes)
                path = layer.kernel.path.rsplit("/", 1)[0]
                found.append(Target(path, layer, inner, outer, depths.get(layer.kernel.path, 0)))
    named = Counter(target.path for target in found)  # one name for several layers is a name of none
    alone = [target for target in found if named[target.path] == 1]
    return sorted(alone, key=lambda target: places[id(target.layer.kernel)])


def left_out(backbone: keras.Model) -> list[str]:
    """Paths of Dense and EinsumDense in the transformer layers that are no targets.

    KerasHub's Gemma has products of another form, SmolLM3 one name for layers of several transformer layers.
    """
    known = {id(target.layer.kernel) for target in linear_layers(backbone)}
    layers = [layer for block in transformer_blocks(backbone) for layer in block._flatten_layers()]
    kernels = {
        id(layer.kernel) for layer in layers if own_class(layer) in (keras.layers.Dense, keras.layers.EinsumDense)
    }
    return [w.path.rsplit("/", 1)[0] for w in backbone.weights if id(w) in kernels - known]


def contracted_axes(layer: keras.layers.Layer) -> int:
    """How many first axes of the kernel are summed over, the last ones of what is read; 0: it is no such product."""
    if own_class(layer) is keras.layers.Dense:
        return 1
    read, kernel, given = re.split(",|->", layer.equation)
    summed = [label for label in kernel if label not in given]
    count = len(summed)
    plain = read.endswith("".join(summed)) and kernel.startswith("".join(summed))
    whole = given == read[: len(read) - count] + kernel[count:]
    return count if plain and whole else 0


def first_depth(backbone: keras.Model, layers: str) -> int:
    """The depth from which layers are changed.

    Raises:
        UserError: `last_N` of more transformer layers than there are.
    """
    if layers == "all":
        return 0
    blocks, count = len(transformer_blocks(backbone)), int(layers.removeprefix("last_"))
    if count > blocks:
        raise UserError(
            f"model.peft.layers: {layers} is more than the {blocks} transformer layers of this "
            f"{type(backbone).__name__}; use last_{blocks} or all"
        )
    return blocks - count + 1


def in_blocks(target: Target, backbone: keras.Model) -> bool:
    """Whether a layer is one of the transformer layers'."""
    return 1 <= target.depth <= len(transformer_blocks(backbone)) and "/" in target.path


def _attends(target: Target) -> bool:
    return re.search(r"(self|cross)_attention(_layer)?/[^/]*$", target.path) is not None


def _named(every: list[Target], names: Sequence[str], backbone: keras.Model) -> list[Target]:
    """Those whose paths end in one of the names, whole parts of a path: `query`, `self_attention/query`."""
    for name in names:
        if not any(_ends_in(target.path, name) for target in every):
            raise UserError(_nothing(backbone, every, [name], "all"))
    return [target for target in every if any(_ends_in(target.path, name) for name in names)]


def _ends_in(path: str, name: str) -> bool:
    return f"/{path}".endswith(f"/{name}")


def _nothing(backbone: keras.Model, every: list[Target], which: str | Sequence[str], layers: str) -> str:
    """The message where nothing fits, with what there is."""
    tables = [weight.path.rsplit("/", 1)[0] for weight in backbone.weights if weight.path.endswith("embeddings")]
    if not isinstance(which, str) and any(_ends_in(table, name) for table in tables for name in which):
        return (
            f"model.peft.targets: {which[0]} is a table of embeddings, which an output layer may share; name linear "
            "layers"
        )
    shown = which if isinstance(which, str) else ", ".join(which)
    names = list(dict.fromkeys(target.path.rsplit("/", 1)[-1] for target in every))
    where = "" if layers == "all" else f" in {layers}"
    example = f", such as {every[0].path}" if every else ""
    return (
        f"model.peft.targets: {shown} fits no linear layer of this {type(backbone).__name__}{where}; there are "
        f"{', '.join(names[:_SHOWN])}{example}"
    )
