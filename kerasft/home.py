"""The user's home folder, which libraries look for as they are imported."""

from __future__ import annotations

import os
from pathlib import Path

from kerasft.errors import UserError


def check_home() -> None:
    """Finds out before any work is done whether there is a home at all.

    KerasHub imports the client of Kaggle, which fails without one (kagglehub 1.0.2).

    Raises:
        UserError: HOME is not set, and the system does not know the user, as in a container with a user id of chance.
    """
    try:
        Path.home()
    except RuntimeError:
        user = f"user id {os.getuid()}" if hasattr(os, "getuid") else "this user"
        raise UserError(
            f"HOME is not set, and the system knows no home of {user}; set HOME to a folder that you may write to, "
            "such as HOME=/tmp"
        ) from None
