"""What a path that a user names may be: looked at before anything is read or trained, since TensorFlow looks last."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from kerasft.errors import UserError

# TensorFlow reads checkpoints and SavedModels by a pattern: one of these in a path may mean another file, or none.
PATTERN_CHARACTERS = "[*?\\"
# Bytes of the longest path below a run or an export, such as a TensorBoard file with the name of the machine in it.
BELOW = 200


def expand_home(path: str) -> str:
    """`~` and `~user` at the beginning of a path -> that home folder.

    Raises:
        ValueError: there is none, or the path can't be one on any machine.
    """
    if "\0" in path:
        raise ValueError(f"{path!r} has a zero byte in it; no file system allows that")
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        who = expanded.split("/")[0][1:]
        cause = f"there is no user {who} here" if who else "this user has no home folder, and HOME is not set"
        raise ValueError(f"{path}: {cause}; write the whole path, or ./{path} for a folder of that name")
    return expanded


def is_address(model: str) -> bool:
    """Whether that is a server's, not a folder's."""
    return "://" in model


def check_home() -> None:
    """Raises UserError where this user has no home folder: libraries that kerasft stands on fail without one."""
    if os.path.expanduser("~").startswith("~"):
        raise UserError("HOME is not set, and this user has no home folder; set it to a folder, such as HOME=/tmp")


def check_no_pattern(path: str | os.PathLike[str], key: str) -> None:
    """Raises UserError for a path that TensorFlow would take for a pattern; `key` is what the user calls it."""
    characters = [character for character in PATTERN_CHARACTERS if character in str(path)]
    if characters:
        raise UserError(
            f"{key}: {str(path)!r} has {' and '.join(characters)} in it, and TensorFlow reads a path with one of "
            f"{' '.join(PATTERN_CHARACTERS)} as a pattern; rename the folder, or name another"
        )


def check_folder(folder: str, key: str) -> None:
    """A folder that is to be written to, on this machine; neither it nor those above it need to be there.

    Raises:
        UserError: it is behind a URL, is too long, is a file, or can't be written.
    """
    if "://" in folder:
        raise UserError(f"{key}: {folder!r} is not on this machine; name a local folder")
    existing = _existing(Path(folder), key)
    if not existing.is_dir():
        raise UserError(f"{key}: {existing} is a file; name a folder")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"{key}: {existing} can't be written ({error.strerror}); name another folder") from error
    _check_length(Path(folder), existing, key)


def _existing(folder: Path, key: str) -> Path:
    """The folder, or the nearest one above it that is there."""
    try:
        return next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    except OSError as error:  # a name that is too long, a folder above that can't be looked into
        short = f"{str(folder)[:40]}..." if len(str(folder)) > 60 else str(folder)
        raise UserError(f"{key}: {short}: {error.strerror}; name another folder") from error


def _check_length(folder: Path, existing: Path, key: str) -> None:
    longest, whole = os.pathconf(existing, "PC_NAME_MAX"), os.pathconf(existing, "PC_PATH_MAX")
    for part in folder.parts:
        if len(os.fsencode(part)) > longest - len(".-12345678-old"):  # as the hidden draft beside it is called
            raise UserError(f"{key}: {part[:40]}... is too long for a name here; use a shorter one")
    length = len(os.fsencode(folder.absolute()))
    if length + BELOW > whole:
        raise UserError(f"{key}: the path is {length} bytes long, and {whole - BELOW} is the most; use a shorter one")


def file_system_of(path: Path) -> str:
    """The kind of the file system that holds a path, such as ext4 or nfs4; empty where it is not known."""
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    folder = folder.resolve()
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return ""
    mounts = [line.split()[1:3] for line in lines]
    above = [(len(at), kind) for at, kind in mounts if at == "/" or folder == Path(at) or Path(at) in folder.parents]
    return max(above)[1] if above else ""
