"""The folders of a model's versions, `saved_models/NAME/VERSION`: a new one is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from kerasft.drafts import make_draft
from kerasft.errors import UserError

DRAFT, SERVABLE = "export", "servable"  # saved_models/NAME/.export-xxxxxxxx/servable


def write_version(directory: Path, write: Callable[[Path], None]) -> Path:
    """`directory`/VERSION, the next integer: what `write` leaves in the folder that it is given, or nothing."""
    folders = _make_directory(directory)
    try:
        with make_draft(directory, DRAFT) as hidden:
            # One level down: the hidden folder itself is private to this user, the servable must not be.
            draft = hidden / SERVABLE
            write(draft)
            return _publish(draft, directory)
    finally:
        # Only folders that are still empty go: after a success, or beside another export, none is.
        with contextlib.suppress(OSError):
            for folder in folders:
                folder.rmdir()


def _make_directory(directory: Path) -> list[Path]:
    """Makes `directory` writable or raises UserError; returns the folders it had to make, innermost first."""
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fix = "choose a folder you can write to"
        raise UserError(f"export.dir: cannot make {directory}: {error.strerror}; {fix}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UserError(f"export.dir: cannot write to {directory}; choose a folder you can write to")
    return missing


def _publish(draft: Path, directory: Path) -> Path:
    while True:
        numbers = [int(entry.name) for entry in directory.iterdir() if re.fullmatch(r"[0-9]+", entry.name)]
        target = directory / str(max(numbers, default=0) + 1)
        try:
            os.rename(draft, target)
            return target
        except OSError:
            if not target.exists():  # else another export took this number between the listing and the rename
                raise
