"""How the text files of a source are written, as an inspection notes it while they are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SHOWN = 200  # characters of a line that is not as the rest


@dataclass
class Decoding:
    """What was read of some files. With it, a line whose bytes are no text is noted and read with U+FFFD in it.

    Attributes:
        encodings: encoding -> how many files are read in it.
        others: file -> how many of its lines have characters outside ASCII that are UTF-8.
        lines: (file, number, line) of each line that is not UTF-8; what it may say is read as Windows-1252.
    """

    encodings: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    lines: list[tuple[str, int, str]] = field(default_factory=list)

    def decode(self, line: bytes, name: str, number: int) -> str:
        """A line as text."""
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            self.lines.append((name, number, line[:SHOWN].decode("cp1252", "replace").strip()))
            return line.decode("utf-8", "replace")
        if not line.isascii():
            self.others[name] += 1
        return text
