"""How this program was started, so that a command it prints can be typed as it stands."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

NAME = "kerasft"
PACKAGE = Path(__file__).parent
# Set by `kerasft launch` for its workers: what started them all.
TRAINING_COMMAND = "KERASFT_COMMAND"


def command(program: str, *arguments: object) -> str:
    """A line for a POSIX shell that runs a program of kerasft, started as this one was.

    Args:
        program: `train`, `check-servable`, ...
        arguments: quoted where a shell would not leave them as they are.
    """
    return " ".join([_starter(program), *(shlex.quote(str(argument)) for argument in arguments)])


def training_command(*arguments: object) -> str:
    """`command("train", ...)`; among workers of `kerasft launch`, that which started them all."""
    launcher = os.environ.get(TRAINING_COMMAND)
    return command("train", *arguments) if launcher is None else " ".join([launcher, shlex.join(map(str, arguments))])


def install_command(extra: str) -> str:
    """A line for a POSIX shell that installs what an extra needs: from the checkout, or the packages by their names.

    The index has no package kerasft, so that `pip install 'kerasft[serve]'` would find none.
    """
    root = PACKAGE.parent
    if (root / "setup.cfg").is_file():
        here = os.path.relpath(root)
        what = [f"{root if here.startswith(os.pardir) else here}[{extra}]"]
    else:
        requirements = (requirement.replace('"', "'").split(";") for requirement in metadata.requires(NAME) or ())
        what = [name.strip() for name, *marker in requirements if f"extra == '{extra}'" in "".join(marker)]
    return shlex.join([_typed(sys.executable, "python3", "python"), "-m", "pip", "install", *what])


def _starter(program: str) -> str:
    started = Path(sys.argv[0])
    if started.stem in (NAME, f"{NAME}-script"):
        return f"{shlex.quote(_typed(str(started), NAME))} {program}"
    if not started.is_absolute() or started.parent != PACKAGE:
        return f"{NAME} {program}"  # from Python, or by another program
    python = shlex.quote(_typed(sys.executable, "python3", "python"))
    if started.name == "__main__.py":
        return f"{python} -m {NAME} {program}"
    return f"{python} -m {NAME}.{program.replace('-', '_')}"


def _typed(file: str, *names: str) -> str:
    """The shortest way to call an executable: by its name where the shell finds that, or by its path from here."""
    for name in names:
        path = shutil.which(name)
        if path and os.path.abspath(path) == os.path.abspath(file):
            return name
    relative = os.path.relpath(file)
    if relative.startswith(os.pardir):
        return file
    return relative if os.sep in relative else os.path.join(os.curdir, relative)
