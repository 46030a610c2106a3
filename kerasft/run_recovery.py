"""What a killed process left of a run, put right: a run that was about to be replaced is back, drafts are gone."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from kerasft.atomic import is_leftover
from kerasft.drafts import RANDOM, abandoned, remove_abandoned
from kerasft.errors import UserError
from kerasft.locks import FolderLock

# The moment between the two renames of an --overwrite is short: where there are no locks, older ones are nobody's.
BETWEEN_RENAMES = 60.0
_PARTS = re.compile(rf"\.model-{RANDOM}|\.seen-\d+")  # of `Run.save_model`; of `Workers.check_sees`


def is_run(folder: Path) -> bool:
    """Whether a folder was made by a run: anything else is never replaced or removed."""
    return (folder / "config.yaml").is_file() and (folder / "data.json").is_file()


def recover_run(folder: Path) -> list[str]:
    """Puts right what is beside a run's folder; a line for each thing that was done.

    Nothing of a process that is alive is touched.

    Args:
        folder: of the run, which may be missing.

    Raises:
        UserError: the run is there under another name and can't be put back.
    """
    folder = folder.absolute()
    if not folder.name:
        return []
    lines, pattern = [], rf"\.{re.escape(folder.name)}-{RANDOM}"
    replaced = list(abandoned(folder.parent, f"{pattern}-old", BETWEEN_RENAMES))
    for old, lock in sorted(replaced, key=lambda each: -each[0].stat().st_ctime):  # the newest is the run
        if is_run(old) and not os.path.lexists(folder):
            lines.append(_put_back(old, folder, lock))
        elif remove_folder(old, lock):
            lines.append(f"{old}: removed, what an --overwrite had replaced before it was killed")
    lines += [f"{draft}: removed, the draft of a run that was killed" for draft in remove_abandoned(folder.parent, pattern)]
    return lines


def remove_leftovers(folder: Path) -> None:
    """Removes from a run's folder what writing it left behind; whoever calls has the run's lock."""
    for path in [*folder.rglob(".*")]:
        if _PARTS.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path)
        elif path.is_file() and (is_leftover(path.name) or _PARTS.fullmatch(path.name)):
            path.unlink()


def remove_folder(folder: Path, lock: FolderLock | None) -> bool:
    """Removes a folder that is locked, or the link to it, as far as that is allowed; whether it is gone."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        lock.release(folder)
    return not os.path.lexists(folder)


def _put_back(old: Path, folder: Path, lock: FolderLock | None) -> str:
    try:
        os.rename(old, folder)
    except OSError as error:
        raise UserError(
            f"{folder}: an --overwrite was cut short and left the run as {old}, which can't be renamed "
            f"({error.strerror}); rename it"
        ) from error
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                lock.release(folder if folder.exists() else old)
    return f"{folder}: an --overwrite was killed before its run was in place; the run from before is back"
