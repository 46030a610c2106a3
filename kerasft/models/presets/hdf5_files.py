"""Files of weights in HDF5, looked at before they are read: whether they are whole, and open no other file.

Without TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.errors import UserError
from kerasft.models.presets.weight_files import HDF5, HDF5_INDEX, check_is, damaged, read_index

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNPACKED, _FREE = 8, 2**24  # how much more than its bytes a file may hold: times as many, and so many of any file


def check_hdf5(folder: Path) -> None:
    """Checks KerasHub's weights, one file or several with an index.

    Raises:
        UserError: a file is missing, no HDF5, or not whole; it names files outside of itself.
    """
    index = folder / HDF5_INDEX
    names = sorted(set(read_index(index).values())) if index.is_file() else [HDF5]
    for name in names:
        check_hdf5_file(folder / name)


def check_hdf5_file(path: Path) -> None:
    """One file of `check_hdf5`."""
    import h5py

    check_is(path, "HDF5", _SIGNATURE)
    try:
        with h5py.File(path, "r") as file:
            claimed = _check_links(file, path)
    except (OSError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise damaged(path, reason) from None
    size = path.stat().st_size
    if claimed > _UNPACKED * size + _FREE:  # of a shape of any size a file needs to hold nothing
        raise damaged(path, f"its weights would take {claimed:,} bytes and the file has {size:,}")


def _check_links(file: Any, path: Path) -> int:
    """Refuses what a weight has no need of and what makes HDF5 open other files: links, external and virtual data.

    Returns:
        The bytes that all its data would take in memory.
    """
    import h5py

    def elsewhere(name: str, what: str) -> UserError:
        return UserError(
            f"model.preset: {path}: {name} is {what}, and not weights; it is not read: take the model from someone "
            "you trust"
        )

    groups, claimed = [file], 0
    addresses: set[int] = set()
    while groups:
        group = groups.pop()
        for key in group:
            name = f"{group.name.rstrip('/')}/{key}"
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                target = getattr(link, "filename", None) or getattr(link, "path", "")
                raise elsewhere(name, f"a link to {str(target)[:80]!r}")
            item = group[key]
            if (where := h5py.h5o.get_info(item.id).addr) in addresses:  # it has other names, such as one within itself
                continue
            addresses.add(where)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise elsewhere(name, "data of another file")
                claimed += (item.size or 0) * item.dtype.itemsize
    return claimed
