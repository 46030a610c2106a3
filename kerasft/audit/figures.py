"""What a part of an audit gives."""

from __future__ import annotations

from typing import Any

Figures = dict[str, Any]  # JSON-able


NO_GRADIENTS = "an export has no gradients; audit the run that it is of"


def without(reason: str) -> Figures:
    """A part that this run has nothing for."""
    return {"skipped": reason}
