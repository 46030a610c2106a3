"""A folder that is made whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kerasft.atomic import write_folder
from kerasft.errors import UserError
from kerasft.paths import check_folder, check_no_pattern


@contextlib.contextmanager
def new_folder(folder: Path, key: str) -> Iterator[Path]:
    """A draft beside a folder that is not there yet, which becomes it at the end.

    Args:
        folder: that is not there yet; its parent is made where need be.
        key: of the argument that names it, for messages.

    Raises:
        UserError: the folder is there, or can't be made or written.
    """
    check_no_pattern(folder, key)
    if folder.exists():
        raise UserError(f"{folder} is there already; name a new folder")
    check_folder(str(folder.parent), key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with write_folder(folder) as draft:
            yield draft
    except OSError as error:  # such as a full disk
        reason = error.strerror or error
        raise UserError(f"{key}: {folder} can't be written ({reason}); fix that, or name another folder") from error
