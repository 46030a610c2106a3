"""The comment at the head of a config: a recipe says in it where its data come from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kerasft.errors import NotFound

KEY = "data"


def header_line(path: str | os.PathLike[str], key: str) -> str:
    """What follows `# KEY:` among the comments before a config's first key; empty where there is none."""
    for line in Path(path).read_text(encoding="utf-8-sig").splitlines():
        if not line.startswith("#"):
            break
        name, colon, text = line.lstrip("# ").partition(":")
        if colon and name == key:
            return text.strip()
    return ""


@contextlib.contextmanager
def name_data_source(path: str | os.PathLike[str]) -> Iterator[None]:
    """Data that are not there are told with the line of the config that says how to get them."""
    try:
        yield
    except NotFound as error:
        how, lacking = header_line(path, KEY), str(error).partition("; ")[0]
        # A folder of the name that the line fetches: not what the command line names instead.
        if not any(f"/{word}/" in f"/{lacking}" for word in how.split()):
            raise
        raise NotFound(f"{lacking}; get it by: {how}") from error
