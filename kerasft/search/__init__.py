"""Search for the values of some keys; `kerasft.search(...)` is `kerasft.search.command.run_search`."""

from __future__ import annotations

from typing import Any

from kerasft.callable_module import make_callable


def search(*args: Any, **options: Any) -> Any:
    """`kerasft.search.command.run_search`, imported when it is asked for."""
    from kerasft.search.command import run_search

    return run_search(*args, **options)


make_callable(__name__, search)
