"""Folders that are made beside their place and then renamed, and what is left of them where a process was killed.

A draft is hidden, `.NAME-` and eight random characters, and locked by the process that makes it. So a later process
knows a draft that is still being made from one that nobody will finish.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kerasft.locks import LOCK, FolderLock, Held, NoLocks

RANDOM = "[a-z0-9_]{8}"  # as tempfile names things
# Where there are no locks, what nobody has touched for so long is nobody's: seconds.
UNTOUCHED = 24 * 3600.0


@contextlib.contextmanager
def make_draft(parent: Path, name: str) -> Iterator[Path]:
    """A new folder `.NAME-xxxxxxxx` in `parent`, locked; whatever is still there at the end is removed."""
    folder, lock = locked_draft(parent, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.release(folder)


def locked_draft(parent: Path, name: str) -> tuple[Path, FolderLock | None]:
    """A new draft and its lock, None where the file system has none. The caller renames or removes it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        try:
            return folder, FolderLock(folder)
        except NoLocks:
            return folder, None
        except (Held, FileNotFoundError):
            continue  # another process took it for one that nobody finishes, in the moment before it was locked


def abandoned(
    parent: Path, pattern: str, is_ours: Callable[[Path], bool], untouched: float = UNTOUCHED
) -> Iterator[tuple[Path, FolderLock | None]]:
    """Folders of `parent` that nobody alive works on, each with its lock, which is the caller's to release.

    Args:
        parent: may be missing.
        pattern: of their names, a regular expression.
        is_ours: says of a folder's content whether it can be a draft: a name alone may be anybody's.
        untouched: seconds, where there are no locks.
    """
    try:
        folders = sorted(path for path in parent.iterdir() if re.fullmatch(pattern, path.name))
    except OSError:  # there is none, or nobody may look
        return
    for folder in folders:
        try:
            if folder.is_symlink() or not folder.is_dir() or not is_ours(folder):
                continue
            lock = FolderLock(folder)
        except Held:
            continue
        except NoLocks:
            if time.time() - _touched(folder) < untouched:
                continue
            lock = None
        except OSError:  # another's, or just removed
            continue
        yield folder, lock


def remove_abandoned(parent: Path, name: str, holds: set[str]) -> list[Path]:
    """Removes drafts `.NAME-xxxxxxxx` that nobody alive works on, of those that hold nothing but `holds`."""

    def is_ours(folder: Path) -> bool:
        return all(entry.name in {*holds, LOCK} for entry in folder.iterdir())

    removed = []
    for folder, lock in abandoned(parent, rf"\.{re.escape(name)}-{RANDOM}", is_ours):
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.release(folder)
        if not folder.exists():
            removed.append(folder)
    return removed


def _touched(folder: Path) -> float:
    """When something in a folder was last changed; its lock file does not count."""
    times = [folder.stat().st_mtime]
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            if path.name != LOCK and not stat.S_ISDIR(status.st_mode):
                times.append(status.st_mtime)
    return max(times)
