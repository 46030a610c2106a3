"""A run's folder as processes share it: one owner at a time, put into place whole, put right after a kill."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from kerasft.atomic import is_leftover, write_atomically
from kerasft.console.terminal import Terminal
from kerasft.drafts import RANDOM, abandoned, locked_draft
from kerasft.errors import UserError
from kerasft.locks import LOCK, FolderLock, Held, NoLocks, held_by

# What a run puts into its folder: one that holds anything else is not removed as the remains of a run.
DRAFT = {"config.yaml", "data.json", "cleaning.json", "run.json", LOCK}
PARTS = DRAFT | {
    "checkpoints", "tensorboard", "wandb", "model", "adapter", "predictions", "metrics.json", "reference.json",
    "report.html", "finished.json", "lineage.json", "continual", "audit",
}  # fmt: skip
# The moment between the two renames of an --overwrite is short: where there are no locks, older ones are nobody's.
BETWEEN_RENAMES = 60.0
# Of `Run.save_model` and `save_adapter`, and of `Workers.check_sees`.
_HIDDEN = re.compile(rf"\.(?:model|adapter)-{RANDOM}|\.seen-\d+")
_locks: dict[Path, FolderLock | None] = {}  # what this process holds


def is_run(folder: Path) -> bool:
    """Whether a folder was made by a run: anything else is never replaced."""
    return (folder / "config.yaml").is_file() and (folder / "data.json").is_file()


def check_replaceable(folder: Path, overwrite: bool) -> None:
    """Raises UserError where there is something that is not to be replaced, or is no run."""
    if not overwrite:
        raise UserError(f"{folder} exists; choose another name=..., or add --resume or --overwrite")
    empty = folder.is_dir() and not any(folder.iterdir())
    if not empty and not is_run(folder):
        raise UserError(
            f"{folder} is not a run (it has no config.yaml with a data.json), so --overwrite leaves it alone; "
            "choose another name=..."
        )


def check_free(folder: Path) -> None:
    """Raises UserError where another process works in a run's folder. Nothing is written."""
    owner = held_by(folder)
    if owner is not None:
        raise UserError(f"{folder}: {owner} works in it; wait for its end, or choose another name=...")


def hold(folder: Path) -> None:
    """Takes a run's folder for this process, until `release` or its end; UserError where another one has it."""
    if folder.absolute() in _locks:
        return
    try:
        _locks[folder.absolute()] = FolderLock(folder)
    except NoLocks:
        _locks[folder.absolute()] = None
    except Held as owner:
        raise UserError(f"{folder}: {owner} works in it; wait for its end, or choose another name=...") from None


def release(folder: Path) -> None:
    """Gives a run's folder back, if this process has it."""
    lock = _locks.pop(folder.absolute(), None)
    if lock is not None:
        lock.release(folder)


def put_in_place(folder: Path, files: Mapping[str, str], overwrite: bool) -> None:
    """Makes a run's folder with its first files, whole or not at all, and takes it for this process.

    Args:
        folder: runs/NAME, which is made.
        files: {name: text}.
        overwrite: whether a run of this name is replaced; it stays whole until the new one can take its place.

    Raises:
        UserError: there is one, and it is not to be replaced, or another process works in it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft, lock = locked_draft(folder.parent, folder.name)
    old = draft.with_name(f"{draft.name}-old")
    try:
        for name, text in files.items():
            write_atomically(draft / name, text)
        os.chmod(draft, 0o755)  # a draft is its owner's; a run is meant to be read
        if overwrite and os.path.lexists(folder):
            hold(folder)
            os.rename(folder, old)
        _rename(draft, folder)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(folder):
            os.rename(old, folder)
        release(folder)
        _remove(draft, lock)
        raise
    replaced = _locks.pop(folder.absolute(), None)
    _locks[folder.absolute()] = lock
    if os.path.lexists(old):
        _remove(old, replaced)


def put_right(folder: Path) -> None:
    """`recover_run`, told on stderr."""
    for line in recover_run(folder):
        Terminal().line(line)


def recover_run(folder: Path) -> list[str]:
    """Puts right what a killed process left beside a run's folder; a line for each thing that was done.

    Nothing of a process that is alive is touched.

    Args:
        folder: of the run, which may be missing.

    Raises:
        UserError: the run is there under another name and can't be put back.
    """
    beside = folder.absolute().parent
    if not folder.name:
        return []
    lines, pattern = [], rf"\.{re.escape(folder.name)}-{RANDOM}"
    replaced = list(abandoned(beside, f"{pattern}-old", lambda path: _holds_only(path, PARTS), BETWEEN_RENAMES))
    for old, lock in sorted(replaced, key=lambda each: -each[0].stat().st_ctime):  # the newest is the run
        if is_run(old) and not os.path.lexists(folder):
            lines.append(_put_back(old, folder, lock))
        elif _remove(old, lock):
            lines.append(f"{old}: removed; an --overwrite had replaced it, and was killed")
    for draft, lock in abandoned(beside, pattern, lambda path: _holds_only(path, DRAFT)):
        if _remove(draft, lock):
            lines.append(f"{draft}: removed; it is of a run that was killed before it began")
    return lines


def remove_leftovers(folder: Path) -> None:
    """Removes from a run's folder, which this process holds, what writing it left behind."""
    for path in [*folder.rglob(".*")]:
        if _HIDDEN.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path)
        elif path.is_file() and (is_leftover(path.name) or _HIDDEN.fullmatch(path.name)):
            path.unlink()


def _holds_only(folder: Path, names: set[str]) -> bool:
    return all(entry.name in names or is_leftover(entry.name) for entry in folder.iterdir())


def _rename(draft: Path, folder: Path) -> None:
    try:
        os.rename(draft, folder)
    except OSError as error:
        if not os.path.lexists(folder):
            raise
        raise UserError(f"{folder}: another process made it meanwhile; choose another name=...") from error


def _put_back(old: Path, folder: Path, lock: FolderLock | None) -> str:
    path = old
    try:
        os.rename(old, folder)
        path = folder
    except OSError as error:
        raise UserError(
            f"{folder}: an --overwrite was killed and left the run as {old}, which can't be renamed "
            f"({error.strerror}); rename it"
        ) from error
    finally:
        if lock is not None:
            lock.release(path)
    return f"{folder}: an --overwrite was killed before its run was in place; the run from before is back"


def _remove(folder: Path, lock: FolderLock | None) -> bool:
    """Removes a folder, or only the link where it is one; whether it is gone."""
    link = folder.is_symlink()
    if not link:
        shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        lock.release(folder)
    if link:
        folder.unlink()
    return not os.path.lexists(folder)
