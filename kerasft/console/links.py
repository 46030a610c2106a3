"""Files as links, where results go to a terminal that opens them (OSC 8)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

# Set by terminals that know links; others may print the characters of one.
_VARIABLES = {"VTE_VERSION", "WT_SESSION", "KONSOLE_VERSION", "KITTY_WINDOW_ID", "ALACRITTY_WINDOW_ID"}
_PROGRAMS = {"iTerm.app", "vscode", "WezTerm", "ghostty", "Hyper"}


def linked(path: Path, text: str, stream: TextIO) -> str:
    """The text as a link to a file of this machine, or as it is where nobody could follow that."""
    knows = bool(_VARIABLES & os.environ.keys()) or os.environ.get("TERM_PROGRAM") in _PROGRAMS
    if not knows or not stream.isatty() or "SSH_CONNECTION" in os.environ:
        return text
    return f"\x1b]8;;{path.absolute().as_uri()}\x1b\\{text}\x1b]8;;\x1b\\"
