"""An adapter as files, in the form of Hugging Face's PEFT, with a third that says what it belongs to.

    adapter_config.json        PEFT's own settings
    adapter_model.safetensors  weights by PEFT's names
    kerasft.json               digests of base and tokenizer, task, labels

Read and written without TensorFlow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from kerasft.errors import UserError
from kerasft.models.presets.huggingface_files import read_json

CONFIG, WEIGHTS, FACTS = "adapter_config.json", "adapter_model.safetensors", "kerasft.json"
FILES = (CONFIG, WEIGHTS, FACTS)
FOLDER = "adapter"  # of a run
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Adapter:
    """An adapter on disk.

    Attributes:
        folder: for messages.
        config: PEFT's settings.
        tensors: weights by PEFT's names without `base_model.model.`.
        facts: what kerasft knows of it; empty: it is not of kerasft.
    """

    folder: str
    config: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]

    @property
    def base(self) -> str | None:
        """SHA-256 of the weights that it was trained beside; None: nothing says so."""
        return self.facts.get("base", {}).get("sha256")

    @property
    def tokenizer(self) -> str | None:
        """SHA-256 of the tokenizer that it was trained with; None: nothing says so."""
        return self.facts.get("tokenizer", {}).get("sha256")

    @property
    def packing(self) -> str | None:
        """How the weights were kept that it was trained beside; None: whole."""
        return self.facts.get("base", {}).get("packing")


def packing_of(section: Any) -> str | None:
    """The same of a section `model.peft`."""
    return getattr(section, "packing", None)


def read_adapter(folder: str | Path) -> Adapter:
    """What `write_adapter`, or PEFT's own `save_pretrained`, wrote.

    Raises:
        UserError: a file is missing or damaged, or holds numbers that are none.
    """
    place = Path(folder)
    if (place / FOLDER / CONFIG).is_file():  # a run
        place = place / FOLDER
    config = _read_json(place / CONFIG)
    if not (place / WEIGHTS).is_file():
        raise UserError(f"{place} has no {WEIGHTS}; save the adapter as safetensors")
    try:
        tensors = load_file(place / WEIGHTS)
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise UserError(f"{place / WEIGHTS} is damaged or of a type that is not read ({error})") from error
    for name, value in tensors.items():
        if not np.isfinite(value.astype(np.float32)).all():
            raise UserError(f"{place / WEIGHTS}: {name} has numbers that are none")
    tensors = {name.removeprefix(_PREFIX): value.astype(np.float32) for name, value in tensors.items()}
    facts = _read_json(place / FACTS) if (place / FACTS).is_file() else {}
    for key in ("base", "tokenizer", "peft"):
        if not isinstance(facts.get(key, {}), dict):
            raise UserError(f"{place / FACTS}: {key} is no JSON object; copy the adapter again")
    return Adapter(str(place), config, tensors, facts)


def write_adapter(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> None:
    """Writes the three files to a folder that exists."""
    whole = {
        name if name.startswith("base_model.") else _PREFIX + name: np.ascontiguousarray(value, np.float32)
        for name, value in tensors.items()
    }
    save_file(whole, folder / WEIGHTS, {"format": "pt"})  # which PEFT asks for
    for name, value in ((CONFIG, config), (FACTS, facts)):
        (folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"{file.parent} is no adapter: it has no {file.name}; give a run, or a folder of PEFT's")
    try:
        return read_json(str(file.parent), file.name) or {}
    except (OSError, ValueError) as error:
        raise UserError(f"{error}; copy the adapter again") from error
