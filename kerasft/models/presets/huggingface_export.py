"""A KerasHub backbone -> what transformers calls its weights and config.json: the way back of `huggingface`.

KerasHub's converter of a family (0.32) says which tensor goes to which variable and how it is turned. It is run here
with a loader that only takes notes, so that names and axes stand in one place for both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from kerasft.errors import UserError
from kerasft.models.presets.huggingface_config import ACTIVATIONS, read_config
from kerasft.models.presets.huggingface_families import FAMILIES
from kerasft.models.presets.huggingface_weights import converter_of
from kerasft.models.presets.layer_settings import settings_of

Hook = Callable[[np.ndarray, list[int]], np.ndarray]
_TYPES = {
    "BertBackbone": "bert",
    "RobertaBackbone": "roberta",
    "XLMRobertaBackbone": "xlm-roberta",
    "DistilBertBackbone": "distilbert",
}
_OFFSET = 2  # positions that a RoBERTa has before its first
_TOKEN_TYPES = "embeddings.token_type_embeddings.weight"


def model_type_of(backbone: keras.Model) -> str:
    """The `model_type` of a backbone. Raises UserError: it has none that is written here."""
    kind = _TYPES.get(type(backbone).__name__)
    if kind is None:
        raise UserError(
            f"export.formats: huggingface: a {type(backbone).__name__} is not written in Hugging Face form; leave it "
            f"out, or use one of {', '.join(sorted(_TYPES.values()))}"
        )
    if "heads" in settings_of(backbone):
        raise UserError(
            "export.formats: huggingface: transformers makes heads as wide as the width over their number, and here "
            "heads were removed; leave it out"
        )
    return kind


def huggingface_config(backbone: keras.Model) -> dict[str, Any]:
    """config.json of a backbone, which `read_config` reads as the same backbone. Raises UserError as `model_type_of`"""
    kind = model_type_of(backbone)
    config: dict[str, Any] = dict(backbone.get_config())
    family, settings = FAMILIES[kind], settings_of(backbone)
    roberta = "roberta" in kind
    sizes: dict[str, Any] = {
        "vocab_size": int(config["vocabulary_size"]),
        "hidden_size": config["hidden_dim"],
        "num_hidden_layers": config["num_layers"],
        "num_attention_heads": config["num_heads"],
        "intermediate_size": config["intermediate_dim"],
        "max_position_embeddings": config["max_sequence_length"] + _OFFSET * roberta,
    }
    if kind == "distilbert":
        names = ("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "max_position_embeddings")
        sizes = dict(zip(names, sizes.values(), strict=True))
    else:
        sizes["type_vocab_size"] = 1 if roberta else config.get("num_segments", 2)
    activation, built = family.activation
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    values: dict[str, Any] = {"model_type": kind, **sizes, activation: names[settings.get("activation", built)]}
    if family.epsilon is not None:
        values[family.epsilon[0]] = settings.get("epsilon", family.epsilon[1])
    rates: dict[str, float] = settings.get("rates", {})
    values |= {key: float(rates[name] if name in rates else config["dropout"]) for name, key in family.rates.items()}
    if roberta:
        values |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    read_config(values, "config.json")  # what is not understood here would not be there either
    return values


def huggingface_tensors(backbone: keras.Model) -> dict[str, np.ndarray]:
    """Name in transformers -> float32 value, of every weight of a backbone.

    Raises:
        UserError: see `model_type_of`.
        RuntimeError: the converter leaves a weight out, or turns one in a way that is not known here.
    """
    kind = model_type_of(backbone)
    notes = _Notes(int(backbone.hidden_dim))
    converter_of(kind).convert_weights(backbone, notes, huggingface_config(backbone))
    noted = {id(variable) for variable, _, _ in notes.taken}
    missing = [weight.path for weight in backbone.weights if id(weight) not in noted]
    if missing:
        raise RuntimeError(f"KerasHub's converter of a {kind} does not name {missing[0]}")
    prefix = FAMILIES[kind].prefix
    tensors = {name.removeprefix(prefix): _turned_back(name, value, hook) for name, value, hook in notes.named()}
    if "roberta" in kind:  # its tokens are of one type, which KerasHub adds to the positions
        tensors[_TOKEN_TYPES] = np.zeros((1, int(backbone.hidden_dim)), np.float32)
    return {f"{prefix}{name}": value for name, value in tensors.items()}


_BEHIND_ATTENTION = ("attention.output.dense.weight", "attention.out_lin.weight")


class _Notes:
    """What a converter takes for a loader of weights."""

    def __init__(self, hidden: int):
        self.hidden = hidden
        self.taken: list[tuple[Any, str, Hook | None]] = []

    def get_tensor(self, key: str) -> np.ndarray:
        """Zeros of the table of types, which are added to others; of anything else there is none."""
        if not key.endswith(_TOKEN_TYPES):
            raise KeyError(key)
        return np.zeros((1, self.hidden), np.float32)

    def port_weight(self, keras_variable: Any, hf_weight_key: str, hook_fn: Hook | None = None) -> None:
        self.taken.append((keras_variable, hf_weight_key, hook_fn))

    def named(self) -> Iterator[tuple[str, np.ndarray, Hook | None]]:
        for variable, name, hook in self.taken:
            yield name, np.asarray(keras.ops.convert_to_numpy(variable), np.float32), hook


def _turned_back(name: str, value: np.ndarray, hook: Hook | None) -> np.ndarray:
    """The tensor that a hook makes `value` of. Where its places go is seen from numbers that name them."""
    if hook is None:
        return value
    for shape in _shapes(name, value.shape):
        probe = np.arange(int(np.prod(shape))).reshape(shape)
        try:
            turned = np.asarray(hook(probe, list(value.shape)))
        except (ValueError, IndexError):
            continue
        if turned.shape == value.shape:
            whole = np.zeros(probe.size, np.float32)
            whole[turned.reshape(-1)] = value.reshape(-1)
            return whole.reshape(shape)
    raise RuntimeError(f"KerasHub's converter turns {name} into {value.shape} in a way that is not known here")


def _shapes(name: str, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes that a tensor of transformers can have. A hook that reshapes takes many, so the name says which is right.

    PyTorch's kernels are (outputs, inputs). KerasHub's of attention have heads: (inputs, heads, width) for queries,
    keys and values, (heads, width, outputs) behind it.
    """
    if name.endswith("position_embeddings.weight"):
        return [(shape[0] + _OFFSET, shape[1]), shape]
    if name.endswith(".bias"):
        return [(int(np.prod(shape)),)]
    if len(shape) == 3 and name.endswith(_BEHIND_ATTENTION):
        return [(shape[2], shape[0] * shape[1])]
    if len(shape) == 3:
        return [(shape[1] * shape[2], shape[0])]
    return [shape[::-1]]
