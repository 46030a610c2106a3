"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# A file while it is written; earlier ones had no ending.
_LEFTOVER = re.compile(r"\..+-[a-z0-9_]{8}\.tmp|\.[\w.-]+\.(json|jsonl|html|yaml|config|example|md|new)-[a-z0-9_]{8}")
OLD = 3600.0  # seconds: no file takes that long


def write_atomically(path: Path, text: str) -> Path:
    """Writes a UTF-8 file whole or not at all; makes its folder."""
    return write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, content: bytes) -> Path:
    """Writes a file whole or not at all; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)  # mkstemp gives 0600; others read it, such as a server
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    return path


@contextlib.contextmanager
def write_folder(folder: Path) -> Iterator[Path]:
    """A draft beside a folder, which takes its place at the end; after an error what was there stays.

    Args:
        folder: may be there or not; the one above it is there.
    """
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        os.chmod(draft, 0o755)  # mkdtemp gives 0700; others read it, such as a server
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def is_leftover(name: str) -> bool:
    """Whether a file's name is that of one which `write_atomically` has not finished."""
    return _LEFTOVER.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> None:
    """Removes what processes that were killed left of files in a folder; what is younger may still be written."""
    for path in folder.glob(".*"):
        with contextlib.suppress(OSError):
            if is_leftover(path.name) and path.is_file() and time.time() - path.stat().st_mtime > OLD:
                path.unlink()
