"""A folder that is made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kerasft.errors import UserError
from kerasft.paths import check_folder, check_no_pattern


@contextlib.contextmanager
def new_folder(folder: Path, key: str) -> Iterator[Path]:
    """A draft beside a folder that is not there yet, which becomes it at the end.

    Args:
        folder: that is not there yet; its parent is made where need be.
        key: of the argument that names it, for messages.

    Raises:
        UserError: the folder is there, or can't be made.
    """
    check_no_pattern(folder, key)
    if folder.exists():
        raise UserError(f"{folder} is there already; name a new folder")
    check_folder(str(folder.parent), key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield draft
        os.chmod(draft, 0o755)  # mkdtemp gives 0700; what is written is meant to be read
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
