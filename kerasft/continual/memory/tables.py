"""Tables of several stages as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasft.data.stages.base import WEIGHT
from kerasft.data.tables.table import GATHER_ROWS, Table


def joined(tables: Sequence[Table]) -> Table:
    """The rows of tables of one schema, one table after the other."""
    if len(tables) == 1:
        return tables[0]

    def rows() -> Iterator[dict[str, Any]]:
        for table in tables:
            for start in range(0, len(table), GATHER_ROWS):
                yield from table.rows(np.arange(start, min(start + GATHER_ROWS, len(table))))

    schema = tables[0].schema
    if WEIGHT in schema.names and any(WEIGHT not in table.schema.names for table in tables):
        schema = schema.remove(schema.get_field_index(WEIGHT))
    return Table.from_rows(rows(), schema)
