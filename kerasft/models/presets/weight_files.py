"""Files of weights, looked at before a byte of them is read as weights: what they are, and whether they are whole.

Without TensorFlow. A file that was cut, a pointer that Git LFS left, a web page with a login form and a pickle all lie
about under the names of weights; each is told by its first bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasft.errors import UserError

SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
HDF5, HDF5_INDEX = "model.weights.h5", "model.weights.json"
AGAIN = "fetch the model again"
_LONGEST_HEADER = 100_000_000  # bytes; what the library safetensors takes at most
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
# First bytes of what is no file of weights -> what it is, and what to do.
_STRANGERS = (
    (b"version https://git-lfs", "is a pointer of Git LFS, {size} bytes, and not the weights", "git lfs pull"),
    (b"PK\x03\x04", "is a zip archive, as PyTorch pickles weights", "take a version of the model in safetensors"),
    (b"\x80", "is a pickle, which is never read", "take a version of the model in safetensors"),
    (b"<", "is a web page", "fetch the file itself, signed in where the site asks for it"),
    (b"\x1f\x8b", "is packed with gzip", "unpack it"),
)


class Tensor(NamedTuple):
    """One entry of a file's header.

    Attributes:
        kind: of its numbers, such as `F32`.
        shape: its sizes.
        file: that holds it.
    """

    kind: str
    shape: tuple[int, ...]
    file: Path


def read_safetensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder in Hugging Face form, from one file or from several with an index; files are checked.

    Raises:
        UserError: a file is missing, no safetensors, or not whole; a name in the index points out of the folder.
    """
    index = folder / SAFETENSORS_INDEX
    if not index.is_file():
        return read_header(folder / SAFETENSORS)
    tensors: dict[str, Tensor] = {}
    weight_map = read_index(index)
    for name in sorted(set(weight_map.values())):
        tensors |= read_header(folder / name)
    if absent := sorted(set(weight_map) - set(tensors)):
        raise UserError(
            f"model.preset: {index} names {absent[0]}, which {weight_map[absent[0]]} does not hold; {AGAIN}"
        )
    return tensors


def read_index(index: Path) -> dict[str, str]:
    """Tensor -> file beside the index. Every file is there, and none is elsewhere."""
    content = read_json_object(index)
    weight_map = content.get("weight_map")
    if not isinstance(weight_map, dict):
        raise UserError(f"model.preset: {index} has no weight_map; {AGAIN}")
    # KerasHub's index (0.25 to 0.32) names one file a variable, or a list of them.
    flat = {
        tensor: name for tensor, names in weight_map.items() for name in (names if isinstance(names, list) else [names])
    }
    if not all(isinstance(name, str) for name in flat.values()):
        raise UserError(f"model.preset: {index} names something that is not a file; {AGAIN}")
    for name in sorted(set(flat.values())):
        check_name(name, index)
        if not (index.parent / name).is_file():
            raise UserError(f"model.preset: {index} names {name}, which is not there; {AGAIN}")
    return flat


def check_name(name: str, index: Path) -> None:
    """Raises UserError for a file name that could lie outside of the folder."""
    if not re.fullmatch(r"[\w.+-]+", name) or name in (".", ".."):
        raise UserError(
            f"model.preset: {index} names the file {name[:80]!r}, which may lie outside of the folder; "
            "it is not read: take the model from someone you trust"
        )


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, whose header and size are checked.

    Raises:
        UserError: it is something else, or was cut.
    """
    size = check_is(path, "safetensors")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise damaged(path, f"its header should have {length:,} bytes and the file has {size:,}")
        text = file.read(length)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        tensors = {name: Tensor(entry["dtype"], _counts(entry["shape"]), path) for name, entry in header.items()}
        ends = {name: _counts(entry["data_offsets"], 2) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise damaged(path, "its header is no list of weights") from None
    end = 8 + length + max((stop for _, stop in ends.values()), default=0)
    if end != size:
        raise damaged(path, f"its weights end at byte {end:,} and the file at {size:,}")
    for name, (start, stop) in ends.items():
        numbers = 1
        for side in tensors[name].shape:
            numbers *= side
        if tensors[name].kind in _SIZES and stop - start != numbers * _SIZES[tensors[name].kind]:
            raise damaged(path, f"{name} has {stop - start:,} bytes for the shape {list(tensors[name].shape)}")
    return tensors


def _counts(numbers: Any, length: int | None = None) -> tuple[int, ...]:
    """A list of numbers that count something. Raises ValueError for anything else."""
    if not isinstance(numbers, list) or length not in (None, len(numbers)):
        raise ValueError
    if not all(type(each) is int and each >= 0 for each in numbers):
        raise ValueError
    return tuple(numbers)


def check_is(path: Path, form: str, signature: bytes = b"") -> int:
    """Whether a file may be of this form, by its first bytes.

    Returns:
        Its size in bytes.

    Raises:
        UserError: it is missing, empty, or another thing.
    """
    if not path.is_file():
        raise UserError(f"model.preset: {path} is not there; {AGAIN}")
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(64)
    if not first:
        raise UserError(f"model.preset: {path} is empty; {AGAIN}")
    for start, what, fix in _STRANGERS:
        if first.lstrip().startswith(start) and not (form == "safetensors" and _looks_like_header(first, size)):
            raise UserError(f"model.preset: {path} {what.format(size=size)}; {fix}")
    if not first.startswith(signature):
        raise UserError(f"model.preset: {path} is no {form} file; {AGAIN}")
    return size


def _looks_like_header(first: bytes, size: int) -> bool:
    """A length in eight bytes may begin with any byte; the JSON behind it begins with a brace."""
    return first[8:9] == b"{" and int.from_bytes(first[:8], "little") <= size - 8


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file whose value is an object.

    Raises:
        UserError: it is something else.
    """
    check_is(path, "JSON")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"model.preset: {path} is not JSON ({reason}); {AGAIN}") from None
    if not isinstance(value, Mapping):
        raise UserError(f"model.preset: {path} is not a JSON object; {AGAIN}")
    return dict(value)


def check_finite(value: np.ndarray, what: str) -> None:
    """Raises UserError where weights hold NaN or infinity."""
    kind = value if value.dtype.kind == "f" else value.astype(np.float32)  # bfloat16 is no kind of NumPy's own
    bad = int(kind.size - np.isfinite(kind).sum())
    if bad:
        raise UserError(
            f"model.preset: {what} holds {bad:,} numbers that are NaN or infinite; the model is damaged: take another "
            "version of it"
        )


def damaged(path: Path, what: str) -> UserError:
    """For a file whose content is not whole, or does not fit together."""
    return UserError(f"model.preset: {path} is damaged or was cut: {what}; {AGAIN}")
