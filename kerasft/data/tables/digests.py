"""Digests of splits: whether rows are those that a run began with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table

UNLABELLED = "unlabelled"  # beside the splits: texts without labels that a run learns from


def changed_data(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The splits whose digests differ, and `UNLABELLED` where both have it: it is read later than the splits."""
    optional = {UNLABELLED} - (before.keys() & now.keys())
    return sorted(split for split in (before.keys() | now.keys()) - optional if before.get(split) != now.get(split))


def fingerprints(tables: Mapping[str, Table]) -> dict[str, str]:
    """Split -> digest of its rows."""
    return {split: table.fingerprint() for split, table in tables.items()}
