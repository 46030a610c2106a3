"""A folder in Hugging Face form: checked without TensorFlow, and loaded as the model that transformers would load."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.errors import UserError
from kerasft.models.presets.huggingface_config import BackboneConfig, read_config
from kerasft.models.presets.huggingface_files import HF_PREFIX, preset_file
from kerasft.models.presets.huggingface_tokenizer import find_tokenizer
from kerasft.models.presets.weight_files import (
    SAFETENSORS,
    SAFETENSORS_INDEX,
    Tensor,
    check_name,
    read_json_object,
    read_safetensors,
)

if TYPE_CHECKING:
    import keras


def check_folder(folder: Path, config: Mapping[str, Any], preset: str) -> BackboneConfig:
    """Finds what is wrong with a local folder.

    Args:
        folder: holds config.json, weights and a tokenizer.
        config: content of config.json.
        preset: as the user wrote it.

    Raises:
        UserError: a file is missing or damaged, config.json asks for what is not built, or the tokenizer has other
            ids than the weights have rows.
    """
    settings = read_config(config, str(folder / "config.json"))
    if not any((folder / name).is_file() for name in (SAFETENSORS, SAFETENSORS_INDEX)):
        fix = "fetch the model again"
        if list(folder.glob("*.bin")) or list(folder.glob("*.pt")) or list(folder.glob("*.pkl")):
            fix = "its weights are in PyTorch's form, a pickle, which is never read; take a version in safetensors"
        raise UserError(f"model.preset: {preset} has no {SAFETENSORS} or {SAFETENSORS_INDEX}; {fix}")
    tensors = read_safetensors(folder)
    check_rows(str(folder), find_tokenizer(str(folder), settings.model_type).highest_id, settings.values["vocab_size"])
    _check_table(tensors, settings, folder)
    return settings


def _check_table(tensors: Mapping[str, Tensor], settings: BackboneConfig, folder: Path) -> None:
    """The table of token embeddings has the rows that config.json says."""
    for name, tensor in tensors.items():
        anchor = settings.family.anchor
        if (name == anchor or name.endswith(f".{anchor}")) and tensor.shape[:1] != (settings.values["vocab_size"],):
            raise UserError(
                f"model.preset: {folder}: {name} has {tensor.shape[:1]} rows, and vocab_size of config.json is "
                f"{settings.values['vocab_size']:,}; take weights and config.json from the same model"
            )


def check_rows(where: str, highest_id: int | None, rows: int) -> None:
    """Raises UserError where a tokenizer has an id that the table of embeddings has no row for.

    Args:
        where: of the model, for the message.
        highest_id: of the tokenizer; None: not known yet.
        rows: of the table.
    """
    if highest_id is not None and highest_id >= rows:
        raise UserError(
            f"model.preset: {where}: its tokenizer has ids up to {highest_id:,}, and its token embedding {rows:,} rows "
            f"(0 to {rows - 1:,}); take vocabulary and weights from the same model, or resize the embedding"
        )


def load_huggingface_backbone(
    resolved: str, config: Mapping[str, Any], dtype: str | None, load_weights: bool
) -> keras.Model:
    """The backbone of a local folder or of a model on the hub, its layers set as config.json says.

    Raises:
        UserError: see `check_folder`, `build_backbone` and `WeightLoader.finish`.
        OSError: a file can't be fetched.
    """
    from kerasft.models.presets.huggingface_weights import build_backbone
    from kerasft.models.presets.layer_settings import apply_settings

    settings = read_config(config, f"{resolved}/config.json")
    tensors = _fetched_weights(resolved) if load_weights else None
    backbone, loader = build_backbone(settings, tensors, resolved, dtype)
    remarks = list(settings.remarks)
    layer_settings = dict(settings.settings)
    if loader is not None:
        if above := loader.finish(backbone):
            remarks.append(
                f"{resolved}: {len(above)} weights are of no part that is known and are left aside: {above[0]}"
            )
        if loader.missing:
            layer_settings["missing"] = loader.missing
            remarks.append(f"{resolved} has no weights of the {' and '.join(loader.missing)}: they are new")
    for remark in remarks:
        print(f"model.preset: {remark}", file=sys.stderr)
    return apply_settings(backbone, layer_settings)


def _fetched_weights(resolved: str) -> dict[str, Tensor]:
    if not resolved.startswith(HF_PREFIX):
        return read_safetensors(Path(resolved))
    index = preset_file(resolved, SAFETENSORS_INDEX)
    names = {SAFETENSORS}
    if index is not None:
        weight_map = read_json_object(index).get("weight_map")
        names = set(map(str, weight_map.values())) if isinstance(weight_map, dict) else names
        for name in names:
            check_name(name, index)
    files = [_fetched_file(resolved, name) for name in sorted(names)]
    return read_safetensors(files[0].parent)


def _fetched_file(resolved: str, name: str) -> Path:
    file = preset_file(resolved, name)
    if file is None:
        raise UserError(f"model.preset: {resolved} has no {name}; take a version of the model in safetensors")
    return file
