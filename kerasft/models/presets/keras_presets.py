"""Backbone and tokenizer in KerasHub's form, written and read with what KerasHub's own config leaves out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import keras_hub
from keras_hub.src.utils.preset_utils import get_file, get_preset_loader

import kerasft.models.tokenizers.byte_level_tokenizer  # noqa: F401  a saved one is found by its registered name
from kerasft.models.presets.hdf5_files import check_hdf5, check_hdf5_file
from kerasft.models.presets.keras_files import check_config
from kerasft.models.presets.layer_settings import (
    KEY,
    apply_settings,
    building_with,
    change_what_is_computed,
    settings_of,
)
from kerasft.models.presets.narrow_weights import STORAGE, widened
from kerasft.models.presets.weight_files import (
    HDF5,
    HDF5_INDEX,
    check_finite,
    check_name,
    read_json_object,
)

_KERASHUBS, _OURS = "keras_hub>", "kerasft>"  # packages of registered names
_TOKENS = "kerasft_tokens"  # in tokenizer.json


def load_saved_backbone(resolved: str, dtype: str | None, load_weights: bool) -> keras_hub.models.Backbone:
    """A backbone that KerasHub, or `save_preset`, has written.

    Args:
        resolved: a local folder or a hub's handle.
        dtype: dtype policy; None: Keras' own.
        load_weights: False: random ones.

    Raises:
        UserError: a file names what is not made, is damaged, or holds numbers that are none.
        OSError, ValueError: it can't be fetched; weights have other shapes.
    """
    loader = get_preset_loader(resolved)
    config = loader.config
    check_config(config, Path(f"{resolved}/config.json"), "Backbone")
    settings, storage = config.pop(KEY, {}), config.pop(STORAGE, None)
    config["registered_name"] = config["registered_name"].replace(_OURS, _KERASHUBS)
    if load_weights and "://" in resolved:
        for file in _weight_files(resolved):
            check_hdf5_file(file)
    elif load_weights:  # also a run's folder, which nobody has looked at before
        check_hdf5(Path(resolved))
    plain = load_weights and storage is None
    with building_with(settings):
        backbone = loader.load_backbone(loader.check_backbone_class(), plain, dtype=dtype)
    if load_weights and storage is not None:
        with widened(Path(get_file(resolved, HDF5))) as file:
            backbone.load_weights(file)
    if load_weights:
        for variable in backbone.weights:
            check_finite(keras.ops.convert_to_numpy(variable), f"{resolved}: {variable.path}")
    return apply_settings(backbone, settings)


def _weight_files(handle: str) -> list[Path]:
    try:
        index = Path(get_file(handle, HDF5_INDEX))
    except FileNotFoundError:
        return [Path(get_file(handle, HDF5))]
    weight_map = read_json_object(index).get("weight_map", {})
    names = {name for one in weight_map.values() for name in (one if isinstance(one, list) else [one])}
    for name in names:
        check_name(str(name), index)
    return [Path(get_file(handle, name)) for name in sorted(names)]


def load_saved_tokenizer(resolved: str) -> keras_hub.tokenizers.Tokenizer:
    """A tokenizer that KerasHub, or `save_preset`, has written. Raises as `load_saved_backbone`."""
    path = Path(get_file(resolved, "tokenizer.json"))
    config = read_json_object(path)
    check_config(config, path, "Tokenizer")
    tokenizer = get_preset_loader(resolved).load_tokenizer(keras_hub.tokenizers.Tokenizer)
    extra = config.get(_TOKENS, {})
    if "strip_left" in extra:
        tokenizer.strip_left = list(extra["strip_left"])
    return tokenizer


def save_preset(backbone: keras_hub.models.Backbone, tokenizer: keras_hub.tokenizers.Tokenizer, folder: str) -> None:
    """Writes a preset in KerasHub's form that loads in float32 and untrained layers thawed.

    KerasHub alone loads it, too, unless layers have settings that change what is computed: then the backbone has a
    name that KerasHub does not know.

    Args:
        backbone: in any dtype policy, with any layers frozen.
        tokenizer: KerasHub's, saved beside the weights.
        folder: is made if need be.
    """
    backbone.save_to_preset(folder)
    _update_config(Path(folder) / "config.json", *_extra_settings(backbone))
    save_tokenizer(tokenizer, folder)


def save_tokenizer(tokenizer: keras_hub.tokenizers.Tokenizer, folder: str) -> None:
    """Writes the tokenizer of a preset alone."""
    tokenizer.save_to_preset(folder)
    # KerasHub's own config leaves this out.
    cjk = {"split_on_cjk": tokenizer.split_on_cjk} if hasattr(tokenizer, "split_on_cjk") else {}
    strip_left = getattr(tokenizer, "strip_left", None)
    extra = {} if strip_left is None else {_TOKENS: {"strip_left": list(strip_left)}}
    _update_config(Path(folder) / tokenizer.config_file, cjk, extra)


def backbone_config(backbone: keras_hub.models.Backbone) -> dict[str, Any]:
    """What `save_preset` writes to config.json: all of a backbone but its weights."""
    inside, outside = _extra_settings(backbone)
    serialized = keras.saving.serialize_keras_object(backbone)
    names = {name: serialized[name] for name in ("module", "class_name", "registered_name")}
    return {**names, "config": {**serialized["config"], **inside}, **outside}


def backbone_of_config(config: Mapping[str, Any], path: Path, dtype: str) -> keras_hub.models.Backbone:
    """A backbone with random weights.

    Args:
        config: of `backbone_config`, from wherever.
        path: of the file that has it, for messages.
        dtype: dtype policy.

    Raises:
        UserError: it names what is not made.
    """
    check_config(config, path, "Backbone")
    settings = config.get(KEY, {})
    identity = {name: config[name] for name in ("module", "class_name")}
    identity["registered_name"] = config["registered_name"].replace(_OURS, _KERASHUBS)
    with building_with(settings):
        made = keras.saving.deserialize_keras_object({**identity, "config": {**config["config"], "dtype": dtype}})
    return apply_settings(made, settings)


def _extra_settings(backbone: keras_hub.models.Backbone) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a backbone's saved config has beside or instead of KerasHub's own: among its arguments, and around them."""
    float32 = keras.dtype_policies.serialize(keras.DTypePolicy("float32"))
    inside: dict[str, Any] = {"dtype": float32, "trainable": True}
    tied = getattr(backbone, "tie_word_embeddings", None)
    if tied is not None:  # KerasHub's own config leaves this one out (0.25 to 0.32)
        inside["tie_word_embeddings"] = tied
    settings = settings_of(backbone)
    outside: dict[str, Any] = {KEY: settings} if settings else {}
    if change_what_is_computed(settings):
        outside["registered_name"] = f"{_OURS}{type(backbone).__name__}"
    return inside, outside


def _update_config(path: Path, inside: dict[str, Any], outside: dict[str, Any]) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved["config"].update(inside)
    saved.update(outside)
    path.write_text(json.dumps(saved, indent=4), encoding="utf-8")
