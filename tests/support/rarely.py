"""Cases of a test that `make test-all` alone runs, since a like one runs each time."""

from __future__ import annotations

from typing import Any

import pytest


def rarely(*cases: Any) -> list[Any]:
    """Cases for `pytest.mark.parametrize`; a tuple is a case of several values."""
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long) for case in cases]
