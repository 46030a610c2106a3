"""How files are read: what a config says of encoding, separators, quotes and sizes, and where remarks go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kerasft.config.data import DataConfig
from kerasft.data.sources.decoding import Decoding
from kerasft.errors import UserError
from kerasft.printable import printable

Row = tuple[dict[str, Any], str]  # column -> value, and the place: FILE:LINE
_DEFAULTS = DataConfig.model_fields


def _to_stderr(text: str) -> None:
    print(printable(text), file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Reading:
    """What readers are told, as the keys of the same names under `data` have it.

    Args:
        encoding: a codec of Python's, or `auto`.
        delimiter: one character, or `auto`.
        quoting: `auto`, `minimal` or `none`.
        max_row_bytes: of a row; a longer one is refused.
        columns: names that the config reads; they settle what an object of JSON is.
        remark: gets one line for each guess.
        decoding: notes how files are written, and lets lines pass that are not UTF-8; None: they are errors.
    """

    encoding: str = _DEFAULTS["encoding"].default
    delimiter: str = _DEFAULTS["delimiter"].default
    quoting: str = _DEFAULTS["quoting"].default
    max_row_bytes: int = _DEFAULTS["max_row_bytes"].default
    columns: frozenset[str] = frozenset()
    remark: Callable[[str], None] = _to_stderr
    decoding: Decoding | None = None

    @classmethod
    def of(
        cls, data: DataConfig, remark: Callable[[str], None] | None = None, decoding: Decoding | None = None
    ) -> Reading:
        """As a config says; remark=None: to stderr."""
        return cls(
            data.encoding,
            data.delimiter,
            data.quoting,
            data.max_row_bytes,
            frozenset(data.columns.values()),
            remark or _to_stderr,
            decoding,
        )

    def check_size(self, size: int, where: str) -> None:
        """Raises UserError where a row has more bytes than one may have."""
        if size > self.max_row_bytes:
            raise self.too_large(where)

    def too_large(self, where: str, cause: str = "") -> UserError:
        """The error for a row that is larger than `max_row_bytes`."""
        return UserError(
            f"{where}: a row of more than {self.max_row_bytes:,} bytes{cause}; cut it, or set data.max_row_bytes to a "
            "larger number"
        )
