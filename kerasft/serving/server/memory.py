"""Memory that was freed goes back to the system: glibc keeps it, and some of every large request or swap would stay."""

from __future__ import annotations

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's


def give_back() -> None:
    """Returns freed memory; Python's lock is not held meanwhile."""
    if _trim is not None:
        _trim(0)
