"""Weights that are stored in fewer bits than they are computed in: float16, or int8 or int4 with scales.

Files of float16 are widened by Keras as it loads them. Those of int8 and int4 name their form in config.json, under a
registered name that KerasHub alone refuses: it would take the integers for weights. Where matrices are int4
(`four_bits`), tables of embeddings are int8. Without TensorFlow.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasft.errors import UserError
from kerasft.models.presets.four_bits import ENDINGS, WHOLE, FourBits, from_arrays, nearest

STORAGE = "kerasft_storage"  # in config.json
GROUP = 32  # numbers that share a scale, as in GGUF's Q8_0
LARGEST = 127  # of an int8
_SCALES = "_scales"  # behind a data set's name
_BESIDE = (*ENDINGS, WHOLE)  # of int4, see FourBits
_CHUNK = 1 << 16  # bytes of a piece that is compressed by itself


class EightBits(NamedTuple):
    """What `quantized` gives: int8 of a weight's shape, and float16 scales."""

    integers: np.ndarray
    scales: np.ndarray


def quantized(values: np.ndarray) -> EightBits:
    """Numbers -> int8 of the same shape, and (groups,) float16 scales of each 32 of them in a row.

    The largest of a group becomes 127 or -127; so no number is off by more than half a scale.
    """
    flat = np.pad(values.astype(np.float32).reshape(-1), (0, -values.size % GROUP)).reshape(-1, GROUP)
    scales = (np.abs(flat).max(1) / LARGEST).astype(np.float16)
    wide = scales.astype(np.float32)[:, None]
    integers = np.divide(flat, wide, out=np.zeros_like(flat), where=wide > 0)
    integers = np.clip(np.rint(integers), -LARGEST, LARGEST).astype(np.int8)
    return EightBits(integers.reshape(-1)[: values.size].reshape(values.shape), scales)


def dequantized(integers: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """What `quantized` gave -> float32 of the same shape."""
    wide = np.repeat(scales.astype(np.float32), GROUP)[: integers.size]
    return integers.astype(np.float32) * wide.reshape(integers.shape)


def narrow_preset(folder: Path, storage: str, known: Mapping[str, FourBits] | None = None) -> None:
    """Stores the weights of a preset in KerasHub's form in fewer bits; vectors stay float32 in int8 and int4.

    Args:
        folder: with config.json and one model.weights.h5.
        storage: `float16`, `int8` or `int4`.
        known: `digest` of a weight in the file -> its four bits, where they are not those of rounding.

    Raises:
        UserError: a number is too large for float16, or the weights are in several files.
    """
    file = folder / "model.weights.h5"
    if not file.is_file():
        raise UserError(f"method=quantize: {folder} has its weights in several files, and one is read here; leave it")
    forms: dict[str, Form] = {"float16": _to_float16, "int8": _to_int8}
    _rewrite(file, forms.get(storage) or functools.partial(_to_int4, known or {}))
    if storage != "float16":
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["registered_name"] = f"kerasft>{config['registered_name'].partition('>')[2]}"
        path.write_text(json.dumps({**config, STORAGE: storage}, indent=4), encoding="utf-8")


def packed_preset(folder: Path) -> None:
    """Packs the weights of a preset in KerasHub's form as they are, which makes files with many zeros smaller.

    Raises:
        UserError: the weights are in several files.
    """
    file = folder / "model.weights.h5"
    if not file.is_file():
        raise UserError(f"method=prune_weights: {folder} has its weights in several files, and one is packed; leave it")
    _rewrite(file, lambda group, arrays: arrays)


def storage_of(folder: Path) -> str | None:
    """How the weights of a preset in KerasHub's form are stored: `float16`, `int8` or `int4`; None: as Keras does,
    and where they are in several files."""
    import h5py

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get(STORAGE) is not None:
        return config[STORAGE]
    if not (folder / "model.weights.h5").is_file():
        return None
    types: set[str] = set()
    with h5py.File(folder / "model.weights.h5", "r") as file:
        file.visititems(lambda _, item: types.add(item.dtype.name) if isinstance(item, h5py.Dataset) else None)
    return "float16" if "float16" in types else None


def narrow_arrays(file: Path) -> None:
    """Stores the arrays of a `.npz` file in float16."""
    with np.load(file, allow_pickle=False) as saved:
        arrays = {name: _as_float16(name, saved[name]) for name in saved.files}
    np.savez_compressed(file, allow_pickle=False, **arrays)


@contextlib.contextmanager
def widened(file: Path) -> Iterator[str]:
    """A temporary file with the float32 weights of one that `narrow_preset` wrote as int8 or int4."""
    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder:
        wide = Path(folder) / "model.weights.h5"
        wide.write_bytes(file.read_bytes())
        _rewrite(wide, _to_float32)
        yield str(wide)


# The path of a group and its arrays, by name -> those that take their place.
Form = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


def _rewrite(file: Path, form: Form) -> None:
    """Writes an HDF5 file anew: what is replaced in one would leave its bytes there."""
    import h5py

    new = file.with_name(f"{file.name}.part")
    with h5py.File(file, "r") as old, h5py.File(new, "w") as target:

        def copy(source: h5py.Group, group: h5py.Group) -> None:
            for key, value in source.attrs.items():
                group.attrs[key] = value
            arrays = {}
            for name, member in source.items():
                if isinstance(member, h5py.Group):
                    copy(member, group.create_group(name))
                else:
                    arrays[name] = np.asarray(member)
            for name, values in form(group.name, arrays).items():
                packed = {"compression": "gzip", "shuffle": True} if values.nbytes > _CHUNK else {}
                group.create_dataset(name, data=values, **packed)

        copy(old, target)
    new.replace(file)


def _as_float16(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        return values
    if values.size and np.abs(values).max() > np.finfo(np.float16).max:
        raise UserError(f"method=quantize: {name} has numbers that are too large for float16; set storage=int8")
    return values.astype(np.float16)


def _to_float16(group: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: _as_float16(name, values) for name, values in arrays.items()}


def _to_int8(group: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    narrow = {}
    for name, values in arrays.items():
        if values.dtype.kind == "f" and values.ndim > 1:
            narrow[name], narrow[f"{name}{_SCALES}"] = quantized(values)
        else:
            narrow[name] = values
    return narrow


def _to_int4(known: Mapping[str, FourBits], group: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if "embedding" in group:  # rows that are looked up, and the output that is tied to them
        return _to_int8(group, arrays)
    narrow = {}
    for name, values in arrays.items():
        if values.dtype.kind == "f" and values.ndim > 1:
            bits = known.get(digest(values)) or nearest(values.reshape(len(values), -1), values.shape)
            narrow |= {f"{name}{ending}": array for ending, array in bits.arrays().items()}
        else:
            narrow[name] = values
    return narrow


def digest(values: np.ndarray) -> str:
    """Of a float32 weight as it lies in a file."""
    return hashlib.sha256(np.ascontiguousarray(values, np.float32).tobytes()).hexdigest()


def _to_float32(group: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    bits = _bits(arrays)
    wide = {name: values for name, values in arrays.items() if name not in bits and not name.endswith(_BESIDE)}
    return wide | {name: widened_bits(each) for name, each in bits.items()}


def _bits(arrays: Mapping[str, np.ndarray]) -> dict[str, FourBits | EightBits]:
    """The weights of a group of a file that are not stored as they are."""
    bits: dict[str, FourBits | EightBits] = {}
    for name, values in arrays.items():
        beside = {ending: arrays[f"{name}{ending}"] for ending in _BESIDE if f"{name}{ending}" in arrays}
        if len(beside) == len(ENDINGS):
            bits[name] = from_arrays({"": values, **beside})
        elif _SCALES in beside:
            bits[name] = EightBits(values, beside[_SCALES])
    return bits


def widened_bits(bits: FourBits | EightBits) -> np.ndarray:
    """float32 of the weight's shape."""
    return bits.values() if isinstance(bits, FourBits) else dequantized(bits.integers, bits.scales)


def stored_bits(file: Path) -> dict[str, FourBits | EightBits]:
    """By the `digest` of each weight in float32 what a file, written by `narrow_preset`, holds of it."""
    import h5py

    stored: dict[str, FourBits | EightBits] = {}
    with h5py.File(file, "r") as opened:
        groups: list[h5py.Group] = [opened]
        for group in groups:  # grows meanwhile
            groups += [member for member in group.values() if isinstance(member, h5py.Group)]
            arrays = {name: np.asarray(each) for name, each in group.items() if isinstance(each, h5py.Dataset)}
            stored |= {digest(widened_bits(bits)): bits for bits in _bits(arrays).values()}
    return stored
