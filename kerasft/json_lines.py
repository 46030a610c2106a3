"""Files that have a JSON value a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_lines(file: Path) -> list[str]:
    """The lines of a UTF-8 file that are not empty, without their ends.

    Not `splitlines`: a text may have other separators of lines, such as U+2028, which JSON leaves as they are.
    """
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]


def read_json_lines(file: Path) -> list[Any]:
    """The value of each line."""
    return [json.loads(line) for line in read_lines(file)]
