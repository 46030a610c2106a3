"""Cheaper forms of the layers that KerasHub's models are made of: same weights, same result, fewer passes over memory.

A model's layers take these forms while a training step is traced, no longer. Evaluation and export run the layers as
Keras has them. Each form leaves what it was not made for (other types, LoRA, wrapped parts, more outputs) to its
parent; which form a layer may take is decided here and in `kerasft.models.layer_classes.as_made`, nowhere else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping

import keras

from kerasft.errors import UserError
from kerasft.kernels import library
from kerasft.models.layer_classes import Changes, as_classes
from kerasft.training.layers import kernel_layers, plain_layers
from kerasft.training.layers.compiled_activations import compiled_activations
from kerasft.training.layers.deferred_rows import EMBEDDINGS
from kerasft.training.layers.first_token import FirstTokenEncoder, last_layer_of_first_token
from kerasft.training.layers.precision import on_accelerator

Classes = Mapping[type[keras.layers.Layer], type[keras.layers.Layer]]

FORMS: dict[str, Classes] = {
    "dropout": {keras.layers.Dropout: plain_layers.Dropout},
    "normalization": {keras.layers.LayerNormalization: plain_layers.LayerNormalization},
    "projections": {
        keras.layers.Dense: plain_layers.Dense,
        keras.layers.EinsumDense: plain_layers.EinsumDense,
    },
    "attention": {keras.layers.MultiHeadAttention: plain_layers.MultiHeadAttention},
}
ACTIVATIONS, FIRST_TOKEN, KERNELS = "activations", "first_token", "kernels"
NAMES = (*FORMS, ACTIVATIONS, FIRST_TOKEN, EMBEDDINGS, KERNELS)  # of `training.fused`


def chosen_forms(
    fused: Collection[str] | None, say: Callable[[str], None] = lambda line: None, here: bool = True
) -> tuple[str, ...]:
    """`training.fused` of a config -> some of NAMES.

    Args:
        fused: null: all on a CPU, kernels where they can be compiled; none where XLA or a GPU has its own.
        say: told of what takes time, and of what is missing.
        here: steps run in this process, which has the kernels, and not on other machines that it drives.

    Raises:
        UserError: kernels are named and this machine can't have them.
    """
    if fused is None and on_accelerator():
        return ()
    names = NAMES if fused is None else tuple(fused)
    if fused is None and not here:
        names = tuple(name for name in names if name != KERNELS)
    if KERNELS not in names:
        return names
    if on_accelerator() or not here:
        raise UserError("training.fused: kernels are for CPUs; take the name out")
    try:
        library.load(say)
    except library.Unavailable as reason:
        if fused is not None:
            fix = "fix that, or take the name out"
            raise UserError(f"training.fused: kernels can't be had, {reason}; {fix}") from None
        say(f"no compiled kernels, which save a seventh of the time, on some processors half: {reason}")
        return tuple(name for name in names if name != KERNELS)
    return names


@contextlib.contextmanager
def fused_layers(model: keras.layers.Layer, forms: Collection[str]) -> Iterator[None]:
    """Layers of the model, however deep, take their cheaper forms inside."""
    leave = kernel_layers.is_gelu if KERNELS in forms else lambda activation: False
    activations = compiled_activations(model, leave) if ACTIVATIONS in forms else contextlib.nullcontext()
    with as_classes(cheaper_forms(model, forms)), activations:
        yield


def cheaper_forms(model: keras.layers.Layer, names: Collection[str]) -> Changes:
    """Which layers of a model take which form.

    A layer of another class than those of FORMS, such as a wrapper, has none. A form that reads weights of a layer's
    parts by itself asks `as_made` and leaves what is not to the layer's own class.

    Args:
        model: its layers have their own classes, or those for a packed batch.
        names: of forms.
    """
    first_token = last_layer_of_first_token(model) if FIRST_TOKEN in names else []
    forms = {kind: form for name in names for kind, form in FORMS.get(name, {}).items()}
    if KERNELS in names:
        forms |= kernel_layers.FORMS
    changes: Changes = [(layer, FirstTokenEncoder) for layer in first_token]
    first_token_ids = {id(layer) for layer in first_token}
    for layer in model._flatten_layers():
        form = forms.get(type(layer)) or (kernel_layers.encoder_form(layer) if KERNELS in names else None)
        if form is not None and id(layer) not in first_token_ids:
            changes.append((layer, form))
    return changes
