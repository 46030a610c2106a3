"""The head of a model in an adapter's file: by PEFT's names where Hugging Face has the same head, else by ours."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from kerasft.models.heads.pooling import Pooling
from kerasft.peft.adapter_files import Adapter

_OURS = "kerasft_head."
_HEADS = ("classifier.", "score.", "qa_outputs.", "pre_classifier.")  # what Hugging Face's models call theirs
_CLASSIFIER = {"classifier/kernel": "classifier.weight", "classifier/bias": "classifier.bias"}
_ROBERTA = {
    "pooler/kernel": "classifier.dense.weight",
    "pooler/bias": "classifier.dense.bias",
    "classifier/kernel": "classifier.out_proj.weight",
    "classifier/bias": "classifier.out_proj.bias",
}
# Heads that compute the same there, if they read what theirs reads: see `_pools`.
_SAME = {"BertBackbone": _CLASSIFIER, "AlbertBackbone": _CLASSIFIER}
_SAME |= {"RobertaBackbone": _ROBERTA, "XLMRobertaBackbone": _ROBERTA}


def head_tensors(
    model: keras.Model, backbone: keras.Model, head: Mapping[str, keras.Variable]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The head's weights by their names in the file, and the modules that PEFT is to load with them."""
    names, theirs = _names(model, backbone, head)
    values = {path: np.array(keras.ops.convert_to_numpy(variable)) for path, variable in head.items()}
    found = {name: _turned(values[path], theirs) for path, name in names.items()}
    return found, ["classifier"] if found and theirs else []


def load_head(adapter: Adapter, model: keras.Model, backbone: keras.Model, head: Mapping[str, keras.Variable]) -> bool:
    """Gives the head the weights that an adapter has for it; False: it has none of these names and shapes."""
    names, theirs = _names(model, backbone, head)
    values = {}
    for path, name in names.items():
        value = adapter.tensors.get(name)
        if value is None or _turned(value, theirs).shape != tuple(head[path].shape):
            return False
        values[path] = _turned(value, theirs)
    for path, value in values.items():
        head[path].assign(value)
    return bool(values)


def is_of_head(name: str) -> bool:
    """Whether a tensor of a file is of a head, of ours or of PEFT's `modules_to_save` for a classifier."""
    return name.startswith((_OURS, *_HEADS))


def _names(
    model: keras.Model, backbone: keras.Model, head: Mapping[str, keras.Variable]
) -> tuple[dict[str, str], bool]:
    """Path of each variable -> its name in the file, and whether that is PEFT's."""
    same = _SAME.get(type(backbone).__name__, {})
    if head and head.keys() == same.keys() and (same is _ROBERTA or not _pools(model)):
        return same, True
    return {path: _OURS + path.replace("/", ".") for path in head}, False


def _pools(model: keras.Model) -> bool:
    """Whether a classifier reads the mean or the last token: Hugging Face's reads what BERT's own pooler gives."""
    return any(isinstance(layer, Pooling) for layer in model.layers)


def _turned(value: np.ndarray, theirs: bool) -> np.ndarray:
    """PyTorch's kernels are (outer, inner)."""
    return value.T if theirs and value.ndim == 2 else value
