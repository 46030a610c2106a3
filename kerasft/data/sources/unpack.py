"""Unpacks an archive from a stranger: regular files and folders only, inside the target, within a size limit."""

from __future__ import annotations

import pathlib
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from kerasft.errors import UserError

MAX_BYTES = 16 << 30
MAX_RATIO = 200  # text and weights pack 2 to 20 times; bombs 1,000 times and more
SMALL_BYTES = 64 << 20  # below this no ratio is suspicious
MAX_FILES = 500_000
CHUNK = 1 << 20

ARCHIVE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)


def unpack(archive: pathlib.Path, target: pathlib.Path) -> None:
    """Unpacks a .whl, .zip or .tar.* file into a folder, which is made.

    Raises:
        UserError: the archive is damaged, or holds an absolute path, `..`, a link, a device, one name twice, or more
            than `MAX_RATIO` times its own size. What was written until then stays in `target`.
    """
    size = archive.stat().st_size
    budget = min(MAX_BYTES, max(SMALL_BYTES, MAX_RATIO * size))
    target.mkdir()
    members = _zip_members if archive.suffix in (".whl", ".zip") else _tar_members
    try:
        for count, (name, stream) in enumerate(members(archive), 1):
            if count > MAX_FILES:
                raise UserError(f"{archive.name}: holds more than {MAX_FILES} files; unpack it by hand if you trust it")
            budget -= _write(stream, _inside(target, name, archive.name), budget, archive.name)
    except ARCHIVE_ERRORS as error:
        raise UserError(f"{archive.name}: the archive is damaged ({error}); fetch it again") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{archive.name}: holds one name twice; unpack it by hand if you trust it") from error


def _zip_members(archive: pathlib.Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as bundle:
        for info in bundle.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(archive.name, info.filename, "is a link or a device")
            if info.flag_bits & 1:
                raise _unsafe(archive.name, info.filename, "is encrypted")
            if not info.is_dir():
                with bundle.open(info) as stream:
                    yield info.filename, stream


def _tar_members(archive: pathlib.Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r|*") as bundle:
        for info in bundle:
            if info.isdir():
                continue
            stream = bundle.extractfile(info) if info.isreg() else None
            if stream is None:
                raise _unsafe(archive.name, info.name, "is a link or a device")
            yield info.name, stream


def _inside(target: pathlib.Path, name: str, archive: str) -> pathlib.Path:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or re.match("[A-Za-z]:", name):
        raise _unsafe(archive, name, "points outside the archive")
    return target.joinpath(*parts)


def _write(stream: IO[bytes], file: pathlib.Path, budget: int, archive: str) -> int:
    """Copies at most `budget` bytes into a new file -> how many. What the archive says of sizes is not believed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with file.open("xb") as out:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > budget:
                raise UserError(f"{archive}: unpacks to far more than its size; unpack it by hand if you trust it")
            out.write(chunk)
    return size


def _unsafe(archive: str, member: str, why: str) -> UserError:
    return UserError(f"{archive}: refused, since {member!r} {why}; unpack it by hand and give a local folder")
