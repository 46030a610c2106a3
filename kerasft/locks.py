"""A folder belongs to one process at a time, for as long as that process lives.

A lock is the file `.lock` in the folder, held by flock: the kernel gives it back however its owner ends, so a lock of a
dead process holds nobody up. It moves with its folder. File systems that share a folder among machines carry it to the
others (NFS does); one that has no locks at all gives none, and a folder there belongs to whoever comes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

LOCK = ".lock"
# What systems say that have no locks; anything else is a fault to be told.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
ATTEMPTS, PAUSE = 3, 0.02  # seconds
PATIENCE = 30.0  # seconds


class Held(Exception):
    """Another living process has the folder; the message is `process 7 on HOST`, as far as that is known."""


class NoLocks(Exception):
    """The file system of the folder has no locks."""


class FolderLock:
    """The right to change a folder; `release` gives it back, and so does the end of the process.

    Args:
        folder: exists.

    Raises:
        Held: another process, or another part of this one, has it.
        NoLocks: nobody can have it.
        OSError: the folder is gone or can't be written.
    """

    def __init__(self, folder: Path):
        self._descriptor = _locked(folder / LOCK)
        if os.fstat(self._descriptor).st_nlink > 1:  # another name of some file, which is not ours to write
            return
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self, folder: Path) -> None:
        """Gives it back, and removes its file.

        Args:
            folder: where the folder is by now.
        """
        path = folder / LOCK
        with contextlib.suppress(OSError):
            if _is_file(self._descriptor, path):
                path.unlink()
        os.close(self._descriptor)


@contextlib.contextmanager
def locked(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """A folder for a short piece of work that several processes may want to do: one after the other.

    Args:
        folder: exists.
        patience: seconds to wait for the others; whoever takes longer is stuck, and no reason to lose what is done.
    """
    lock, until = None, time.monotonic() + patience
    while lock is None and time.monotonic() < until:
        try:
            lock = FolderLock(folder)
        except Held:
            time.sleep(PAUSE)
        except NoLocks:
            break
    try:
        yield
    finally:
        if lock is not None:
            lock.release(folder)


def _locked(path: Path) -> int:
    """A descriptor of the lock file, made if need be, that holds the lock."""
    for attempt in itertools.count(1):
        descriptor = _opened(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
            os.close(descriptor)
            if error.errno in NO_LOCKS:
                raise NoLocks(str(path.parent)) from None
            if error.errno not in TAKEN:
                raise
            if attempt >= ATTEMPTS:
                raise Held(owner or "another process") from None
            time.sleep(PAUSE)  # it may be somebody who only looks, see held_by
            continue
        if _is_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # its owner removed the file between our two calls: it is no lock any more
    raise AssertionError


def _opened(path: Path, flags: int) -> int:
    """A descriptor of a lock file; OSError where that is a link or no file: a stranger's would lead elsewhere."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EPERM, "is no lock, but another kind of file; remove it", str(path))
    return descriptor


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def held_by(folder: Path) -> str | None:
    """Who has a folder, as Held says it; None: nobody, or nobody can tell. Nothing is written."""
    try:
        descriptor = _opened(folder / LOCK, os.O_RDWR)
    except OSError:  # no lock, or one that only others may touch
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            return os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return None
