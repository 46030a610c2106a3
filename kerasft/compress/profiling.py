"""Where the bytes and the time of a model are, layer by layer, and about what each step of compression would bring."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.assembly import Assembled
from kerasft.compress.expected_steps import FLOAT32, Part, Step, expected_steps, size_of
from kerasft.data.prepared.prepared import Prepared
from kerasft.models.blocks import transformer_blocks
from kerasft.models.layer_classes import Form, as_classes

SIZES = (1, 32)  # texts of a batch
ROUNDS = 7  # of a measurement, the fastest of which counts
ATTENTION = "_self_attention_layer"


@dataclass(frozen=True)
class Profile:
    """Of a model.

    Attributes:
        parts: in the order of the model.
        steps: each from the model as it is.
        bytes: of all weights in float32.
        milliseconds: of the whole model, token ids in, of one text and of 32.
        tokens: of the texts that were measured, padding included.
    """

    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    bytes: int
    milliseconds: Mapping[int, float]
    tokens: Mapping[int, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def profile(assembled: Assembled, prepared: Mapping[str, Prepared], split: str) -> Profile:
    """Measures each layer by itself, as a graph of TensorFlow, on what it reads of some rows of a split.

    Args:
        assembled: the model.
        prepared: split -> rows as the model reads them; `train` says which tokens are used.
        split: whose rows are measured.
    """
    model, blocks = assembled.model, transformer_blocks(assembled.backbone)
    batches = {size: _features(model, prepared[split], size) for size in SIZES}
    layers = dict(_measured_layers(model, blocks))
    seconds = {size: _seconds_of(model, layers, batch) for size, batch in batches.items()}
    parts = tuple(_parts(layers, blocks, seconds))
    whole = {size: 1e3 * _seconds(*_graph(model, (batch,), {"training": False})) for size, batch in batches.items()}
    shapes = [tuple(weight.shape) for weight in model.weights if weight.dtype != "string"]
    steps = tuple(expected_steps(assembled, blocks, parts, shapes, whole[SIZES[-1]], prepared["train"]))
    tokens = {size: next(iter(batch.values())).numpy().shape[1] for size, batch in batches.items()}
    return Profile(parts, steps, FLOAT32 * sum(map(size_of, shapes)), whole, tokens)


def _features(model: keras.Model, prepared: Prepared, size: int) -> dict[str, tf.Tensor]:
    rows = np.resize(np.linspace(0, len(prepared) - 1, min(size, len(prepared))).astype(np.int64), size)
    if size == 1:  # a text of the usual length
        rows = np.argsort(prepared.lengths, kind="stable")[[len(prepared) // 2]]
    features = prepared.batch(rows)[0]
    return {tensor.name: tf.constant(features[tensor.name]) for tensor in model.inputs}


def _measured_layers(model: keras.Model, blocks: list[keras.layers.Layer]) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Name -> layer: what lies below the transformer layers, these and their attention, and what lies above."""
    names = {id(block): f"layer {number}" for number, block in enumerate(blocks)}
    seen: set[int] = set()
    for layer in _flat(model):
        if id(layer) in seen or (not layer.weights and id(layer) not in names):
            continue
        seen.add(id(layer))
        if id(layer) in names:
            yield names[id(layer)], layer
            if hasattr(layer, ATTENTION):
                yield f"{names[id(layer)]}: attention", getattr(layer, ATTENTION)
        else:
            yield layer.name.replace("_", " "), layer


def _flat(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of models in it, in their order."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flat(layer)
        else:
            yield layer


def _seconds_of(
    model: keras.Model, layers: Mapping[str, keras.layers.Layer], features: Mapping[str, tf.Tensor]
) -> dict[str, float]:
    """Seconds of each layer on what it reads of a batch."""
    read: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    kinds = [(layer, _recording(type(layer), read)) for layer in layers.values()]
    with as_classes(kinds):
        model(features, training=False)
    return {
        name: _seconds(*_graph(layer, *read[id(layer)])) if id(layer) in read else 0.0 for name, layer in layers.items()
    }


def _recording(kind: type, read: dict[int, tuple[tuple[Any, ...], dict[str, Any]]]) -> type:
    """The class of a layer, which keeps what it is called with, the first time."""

    def call(self: Any, *inputs: Any, **options: Any) -> Any:
        read.setdefault(id(self), (inputs, options))
        return kind.call(self, *inputs, **options)

    return type(f"Recording{kind.__name__}", (Form, kind), {"call": call})


def _graph(layer: Callable[..., Any], inputs: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """A call as a graph, and the tensors that it takes."""
    whole = (inputs, dict(options))
    tensors = [each for each in tf.nest.flatten(whole) if tf.is_tensor(each)]

    def call(*given: tf.Tensor) -> Any:
        left = iter(given)
        positional, named = tf.nest.map_structure(lambda each: next(left) if tf.is_tensor(each) else each, whole)
        return layer(*positional, **named)

    return tf.function(call, autograph=False), tensors


def _seconds(function: Callable[..., Any], tensors: list[Any]) -> float:
    times = []
    for _ in range(ROUNDS + 1):  # the first makes the graph
        start = time.perf_counter()
        tf.nest.map_structure(lambda each: each.numpy(), function(*tensors))
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _parts(
    layers: Mapping[str, keras.layers.Layer],
    blocks: list[keras.layers.Layer],
    seconds: Mapping[int, Mapping[str, float]],
) -> Iterator[Part]:
    """A block whose attention is known is two parts: attention, and the rest of it, which is the feed-forward layer."""
    of_block = {id(block) for block in blocks}
    for name, layer in layers.items():
        milliseconds = {size: 1e3 * times[name] for size, times in seconds.items()}
        attention = f"{name}: attention"
        if id(layer) in of_block and attention in layers:
            inside = layers[attention]
            rest = {size: max(0.0, milliseconds[size] - 1e3 * times[attention]) for size, times in seconds.items()}
            yield Part(f"{name}: feed-forward and norms", layer.count_params() - inside.count_params(), rest)
        else:
            yield Part(name, layer.count_params(), milliseconds)
