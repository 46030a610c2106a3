"""Where two configs of one run differ, and which differences matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kerasft.config.schema import Config
from kerasft.errors import UserError

# Keys that decide nothing of what is learnt.
MAY_CHANGE = ("output.", "export.", "data.cache", "inspect.", "audit.", "search", "serving.", "training.tracking")


def check_same_config(before: Mapping[str, Any], config: Config, where: Any) -> None:
    """Raises UserError where a run would go on with another config than it began with; where it lies may change."""
    for path, old, new in _differences(before, config.model_dump(mode="json")):
        if not path.startswith(MAY_CHANGE):
            raise UserError(f"{path}: {new!r}, but {where} began with {old!r}; resume with the same config")


def _differences(old: Any, new: Any, path: str = "") -> Iterable[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path, old, new
