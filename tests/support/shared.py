"""What a session of tests makes once, whichever worker comes first, and all of them read."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


def shared_folder(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills once in a session; nobody changes what is in it.

    Args:
        factory: of this worker.
        name: of the folder in the session's temporary one.
        make: gets an empty folder, which is renamed afterwards.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # a worker's own folder lies in the session's
    folder = root / f"shared-{name}"
    with open(root / f"shared-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = Path(tempfile.mkdtemp(dir=root))
            make(draft)
            draft.rename(folder)
    return folder
