"""Weights of a folder in Hugging Face form -> a KerasHub backbone, every tensor of the file accounted for.

KerasHub's converters (0.32) know which tensor goes to which variable. They ask a loader for it by name; the loader here
knows models with a head and without one, counts what was taken, and refuses what nobody asked for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras
import numpy as np
from safetensors import safe_open

from kerasft.errors import UserError
from kerasft.models.presets.huggingface_config import BackboneConfig
from kerasft.models.presets.weight_files import Tensor, check_finite

_FLOATS = ("F64", "F32", "F16", "BF16")
# Names that old checkpoints have for what is called otherwise since.
_ALIASES = {".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"}
# Tensors that follow from others: positions, masks, frequencies of rotary positions.
_BUFFERS = re.compile(
    r"(^|.*\.)(position_ids|token_type_ids|rotary_emb\.inv_freq|inv_freq|attn\.bias|attn\.masked_bias)$"
)
# First parts of names of weights above the backbone. A head that pools, classifies or names tokens is made anew.
_HEADS = (
    "cls",
    "lm_head",
    "classifier",
    "pre_classifier",
    "score",
    "qa_outputs",
    "predictions",
    "sop_classifier",
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
    "classification_head",
    "multiple_choice_head",
    "final_logits_bias",
    "summary",
)
_TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
# The output layer of models that KerasHub builds with the token embedding there.
_OUTPUT = "lm_head.weight"


class _Whole(np.ndarray):
    """Weights that stay as they are where KerasHub's converter of Mistral (0.25 to 0.32) rounds them to float16."""

    def astype(self, dtype, *args, **kwargs):
        return self if dtype is np.float16 else super().astype(dtype, *args, **kwargs)


class WeightLoader:
    """What KerasHub's converters take for their own loader of safetensors.

    Args:
        tensors: name -> where it is.
        config: what its config.json holds.
        where: the folder or address, for messages.

    Attributes:
        missing: what of the optional weights the files lack.

    Raises:
        UserError: the files have no token embeddings, or those of several models.
    """

    def __init__(self, tensors: Mapping[str, Tensor], config: BackboneConfig, where: str):
        self.tensors, self.config, self.where = tensors, config, where
        self.missing: list[str] = []
        self._read_names: set[str] = set()
        self._prefix = self._find_prefix()

    def _find_prefix(self) -> str:
        anchor = self.config.family.anchor
        names = [name for name in self.tensors if name == anchor or name.endswith(f".{anchor}")]
        if self.config.model_type == "bart" and not names:  # the shared table has one name of three
            anchor = "encoder.embed_tokens.weight"
            names = [name for name in self.tensors if name == anchor or name.endswith(f".{anchor}")]
        if len(names) != 1:
            what = f"{len(names)} tables of token embeddings, {names[0]} and {names[1]}" if names else f"no {anchor}"
            fix = "take a model of one part" if names else f"it is no {self.config.model_type}: fetch the model again"
            raise UserError(f"model.preset: {self.where}: its weights have {what}; {fix}")
        return names[0].removesuffix(anchor)

    def _name(self, key: str) -> str | None:
        """The name that a tensor has in the files; None: it is not there."""
        inner = key.removeprefix(self.config.family.prefix)
        candidates = [self._prefix + inner, key] if inner != key or not self._is_head(key) else [key]
        for name in candidates:
            for old, new in _ALIASES.items():
                for spelling in (name, name.replace(old, new), name.replace(new, old)):
                    if spelling in self.tensors:
                        return spelling
        if self.config.model_type == "bart" and inner == "shared.weight":
            return f"{self._prefix}encoder.embed_tokens.weight"
        return None

    def get_tensor(self, key: str) -> np.ndarray:
        """The tensor that a converter asks for by transformers' name, in the file's own type.

        Raises:
            UserError: there is none, it is of no floating type, or it holds numbers that are none.
        """
        name = self._name(key)
        if name is None:
            raise UserError(
                f"model.preset: {self.where}: its weights lack {key}, which a {self.config.model_type} has; "
                "fetch the model again"
            )
        kind, _, file = self.tensors[name]
        if kind not in _FLOATS:
            raise UserError(
                f"model.preset: {file}: {name} is of type {kind}, and weights are read as {', '.join(_FLOATS)}; "
                "use a model that is not quantised"
            )
        with safe_open(str(file), "np") as opened:
            value = opened.get_tensor(name)
        check_finite(value, f"{file}: {name}")
        self._read_names.add(name)
        return value

    def port_weight(
        self,
        keras_variable: keras.Variable,
        hf_weight_key: str,
        hook_fn: Callable[[np.ndarray, list[int]], np.ndarray] | None = None,
    ) -> None:
        """Gives a variable its value, turned as KerasHub has it; the variable keeps its own where it may be missing."""
        if self._name(hf_weight_key) is None:
            inner = hf_weight_key.removeprefix(self.config.family.prefix)
            for start, what in self.config.family.optional.items():
                if inner.startswith(start):
                    self.missing += [] if what in self.missing else [what]
                    return
        value = self.get_tensor(hf_weight_key)
        shape = list(keras_variable.shape)
        try:
            turned = value if hook_fn is None else np.asarray(hook_fn(value.view(_Whole), shape))
        except ValueError:  # NumPy's, where numbers do not fill the shape
            turned = None
        if turned is None or list(turned.shape) != shape:
            raise UserError(
                f"model.preset: {self.where}: {self._name(hf_weight_key)} has the shape {list(value.shape)}, and by "
                f"config.json {_sizes(shape)} numbers are needed; take weights and config.json from the same model"
            )
        keras_variable.assign(turned)

    def finish(self, backbone: keras.Model) -> list[str]:
        """Takes what KerasHub's converter leaves out and can be taken; refuses the rest.

        Returns:
            Names of tensors above the backbone that are of no head known here.

        Raises:
            UserError: a tensor of the backbone has no variable.
        """
        kind = self.config.model_type
        types = self._name(f"{self.config.family.prefix}{_TOKEN_TYPES}")
        if kind == "roberta" and types is not None:
            # Its tokens are of type 0 all; KerasHub's has no types. The table of an XLM-R its converter takes.
            row = self.get_tensor(types)[0].astype(np.float32)
            positions = backbone.embeddings.position_embedding.position_embeddings
            positions.assign(positions + row)
        self._check_tied(backbone)
        surplus = [name for name in self.tensors if name not in self._read_names and not _BUFFERS.match(name)]
        inside = [name for name in surplus if name.startswith(self._prefix) and not self._is_above(name)]
        if inside:
            others = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
            raise UserError(
                f"model.preset: {self.where}: its weights have {inside[0]}{others}, which KerasHub's {kind} has no "
                "variable for; use a model without"
            )
        return [name for name in surplus if not self._is_above(name)]

    def _is_above(self, name: str) -> bool:
        """Whether a tensor is of a head, or is one more name of the token embedding or of a part that is not built."""
        inner = name.removeprefix(self._prefix)
        if self._is_head(inner) or (self._prefix and not name.startswith(self._prefix) and self._is_head(name)):
            return True
        copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "shared.weight")
        if self.config.model_type == "bart" and inner in copies:
            return True
        return inner.startswith("pooler.") and self.config.model_type in ("roberta", "xlm-roberta")

    def _is_head(self, name: str) -> bool:
        return name.partition(".")[0] in _HEADS

    def _check_tied(self, backbone: keras.Model) -> None:
        """Other output layers than the token embedding, where KerasHub has that one there."""
        family = self.config.family
        if family.tied is None:
            tied = bool(getattr(backbone, "tie_word_embeddings", False))
        else:
            tied = family.tied
        decoder = family.anchor != "embeddings.word_embeddings.weight"
        if not tied or not decoder or _OUTPUT not in self.tensors:
            return
        table = np.asarray(keras.ops.convert_to_numpy(backbone.token_embedding.embeddings))
        output = self.get_tensor(_OUTPUT).astype(np.float32)
        if output.shape != table.shape or not np.array_equal(output, table):
            raise UserError(
                f"model.preset: {self.where}: its {_OUTPUT} is not its token embedding, and KerasHub's "
                f"{self.config.model_type} has that one there; use a model whose word embeddings are tied"
            )


def converter_of(model_type: str) -> ModuleType:
    """KerasHub's module for a `model_type` (0.32): `backbone_cls`, `convert_backbone_config`, `convert_weights`."""
    names = {"llama": "llama3", "qwen2": "qwen", "gemma2": "gemma", "gemma3_text": "gemma3"}
    name = names.get(model_type, model_type.replace("-", "_"))
    return importlib.import_module(f"keras_hub.src.utils.transformers.convert_{name}")


def build_backbone(
    config: BackboneConfig, tensors: Mapping[str, Tensor] | None, where: str, dtype: str | None
) -> tuple[keras.Model, WeightLoader | None]:
    """The backbone of a config.json, before its layers' settings.

    Args:
        config: see `kerasft.models.presets.huggingface_config`.
        tensors: the weights; None: random ones.
        where: for messages.
        dtype: dtype policy; None: Keras' own.

    Returns:
        The backbone, and the loader that gave it its weights.
    """
    converter = converter_of(config.model_type)
    arguments: dict[str, Any] = {**converter.convert_backbone_config(config.values), **config.arguments}
    backbone = converter.backbone_cls(**arguments, dtype=dtype)
    if tensors is None:
        return backbone, None
    loader = WeightLoader(tensors, config, where)
    converter.convert_weights(backbone, loader, config.values)
    return backbone, loader


def _sizes(shape: list[int]) -> str:
    return " x ".join(map(str, shape))
