"""A folder in KerasHub's form from a stranger: which classes it names, and whether its files are what they should be.

Keras makes objects of whatever class such a file names, imports modules for it, and runs the Python code of Lambda
layers. Here a preset is a KerasHub backbone and a KerasHub tokenizer, and nothing else is made. Without TensorFlow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasft.errors import UserError
from kerasft.models.presets.hdf5_files import check_hdf5
from kerasft.models.presets.huggingface import check_rows
from kerasft.models.presets.vocabulary_files import highest_id_of_assets
from kerasft.models.presets.weight_files import HDF5, HDF5_INDEX, read_json_object

_PACKAGES = ("keras", "keras_hub", "keras_nlp", "builtins")
# Names that kerasft writes: a tokenizer of its own, and KerasHub's backbones with other settings of their layers.
_OUR_TOKENIZER, _OUR_BACKBONES = "kerasft>ByteLevelTokenizer", re.compile(r"kerasft>\w+Backbone")
# Keras' own classes that run code of the file, or open other files.
_RUN_CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "GraphModule")
_FILES = ("vocabulary", "merges", "proto")  # arguments that may be a path


def check_folder(folder: Path, config: Mapping[str, Any], preset: str) -> None:
    """Finds what is wrong with a local folder.

    Args:
        folder: holds config.json, weights and a tokenizer.
        config: content of config.json.
        preset: as the user wrote it.

    Raises:
        UserError: a file is missing or damaged, names a class of someone else's, or the tokenizer has other ids than
            the weights have rows.
    """
    check_config(config, folder / "config.json", "Backbone")
    for names in ((HDF5, HDF5_INDEX), ("tokenizer.json",)):
        if not any((folder / name).is_file() for name in names):
            raise UserError(f"model.preset: {preset} has no {' or '.join(names)}; fetch the model again")
    check_config(read_json_object(folder / "tokenizer.json"), folder / "tokenizer.json", "Tokenizer")
    check_hdf5(folder)
    inside = config["config"]
    rows = inside.get("vocabulary_size", inside.get("vocab_size"))  # ELECTRA says the latter
    if isinstance(rows, int):
        check_rows(str(folder), highest_id_of_assets(folder), rows)


def check_config(config: Mapping[str, Any], path: Path, kind: str) -> None:
    """Raises UserError where a file names anything but classes of Keras and KerasHub that hold layers.

    Args:
        config: content of the file.
        path: of the file, for messages.
        kind: what the class' name ends in, `Backbone` or `Tokenizer`.
    """
    name = config.get("registered_name")
    inside = config.get("config")
    if not isinstance(name, str) or not isinstance(inside, Mapping):
        raise UserError(f"model.preset: {path} has no registered_name with a config; fetch the model again")
    package = name.partition(">")[0]
    ours = name == _OUR_TOKENIZER if kind == "Tokenizer" else _OUR_BACKBONES.fullmatch(name)
    if not ours and (package not in ("keras_hub", "keras_nlp") or not name.endswith(kind)):
        raise _strange(path, name, f"a {kind} of KerasHub")
    for part in _objects(config):
        _check_object(part, path)


def _check_object(part: Mapping[str, Any], path: Path) -> None:
    inside = part.get("config")
    for key in _FILES:
        if isinstance(inside, Mapping) and isinstance(inside.get(key), str):
            raise _strange(path, f"the file {inside[key][:60]!r} as its {key}", "the files in assets/")
    name, registered = part.get("class_name"), part.get("registered_name")
    module = part.get("module")
    for called in (name, registered):
        if isinstance(called, str) and called.rpartition(">")[2] in _RUN_CODE:
            raise _strange(path, called, "layers without code of their own")
    if registered == _OUR_TOKENIZER and name == _OUR_TOKENIZER.partition(">")[2]:  # Keras takes it by that name alone
        return
    if isinstance(module, str) and module.partition(".")[0] not in _PACKAGES:
        raise _strange(path, f"{module}.{name}", "classes of Keras and KerasHub")
    if isinstance(registered, str) and ">" in registered and registered.partition(">")[0] not in _PACKAGES:
        if _OUR_BACKBONES.fullmatch(registered):
            return
        raise _strange(path, registered, "classes of Keras and KerasHub")


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every table in a file that could be read as an object."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if {"class_name", "registered_name", "module"} & set(one):
                yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _strange(path: Path, what: str, allowed: str) -> UserError:
    return UserError(
        f"model.preset: {path} names {what[:100]}, which is not made: a preset has {allowed} alone; "
        "take the model from someone you trust"
    )
