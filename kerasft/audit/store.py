"""What an audit has measured so far, on disk: a part that is done is not measured again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically

PARTS_FILE = "parts.json"


class PartStore:
    """`parts.json` in an audit's folder, while it is under way.

    Args:
        folder: of the audit; made with the first part.
        digest: of all that the figures depend on: parts of another are thrown away.
    """

    def __init__(self, folder: Path, digest: str):
        self.folder, self.digest = folder, digest
        self._file = folder / PARTS_FILE
        self._parts: dict[str, Any] = {}
        try:
            saved = json.loads(self._file.read_text(encoding="utf-8"))
            if saved["digest"] == digest:
                self._parts = saved["parts"]
        except (OSError, ValueError, KeyError):  # there is none, or it is of something else
            pass

    def load(self, name: str) -> dict[str, Any] | None:
        """The figures of a part; None: it is still to be measured."""
        return self._parts.get(name)

    def save(self, name: str, figures: dict[str, Any]) -> None:
        """Keeps the figures of a part."""
        self._parts[name] = figures
        text = json.dumps({"digest": self.digest, "parts": self._parts}, ensure_ascii=False)
        write_atomically(self._file, text)

    def finish(self, found: dict[str, Any]) -> None:
        """Writes audit.json. The parts stay, so that the same audit again is quick."""
        write_atomically(self.folder / "audit.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
