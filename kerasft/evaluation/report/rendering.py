"""Pages as HTML: no scripts and nothing fetched from elsewhere; every text of the data is escaped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kerasft.errors import UserError
from kerasft.evaluation.report.labels import percent, score


def render(template: str, **values: Any) -> str:
    """A template of this folder with its values."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only the end of a run needs it

    # autoescape=True and not select_autoescape, which goes by the file's ending and would pass .j2 by
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(score=score, percent=percent, breakable=_breakable)
    return environment.get_template(template).render(**values)


def _breakable(place: str) -> str:
    """A path that a narrow column breaks behind a slash, and not within the number of a line."""
    from markupsafe import Markup, escape

    return escape(place).replace("/", Markup("/<wbr>"))


def write_page(path: Path, page: str) -> None:
    """Writes a page; a reader sees the old one or the new one, never half of one.

    Args:
        path: of the page; its folder exists.
        page: HTML.

    Raises:
        UserError: the page cannot be written there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(page.encode("utf-8", "replace"))  # a lone surrogate in a text must not lose the page
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"{path}: the page cannot be written ({error.strerror}); fix the folder") from error
    finally:
        part.unlink(missing_ok=True)
