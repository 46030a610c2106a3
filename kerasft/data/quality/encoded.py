"""Encodings: those that files are read in, and lines that are in another one than the rest of their file."""

from __future__ import annotations

from collections.abc import Iterator

from kerasft.data.quality.base import MOST_ROWS, Check, Example, Finding, Inspected


class Encodings(Check):
    """In which encodings the text files of a split are read; files with lines that are not UTF-8."""

    kinds = {"encodings": "info", "mixed_encodings": "error"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        for split, decoding in data.decodings.items():
            files = sum(decoding.encodings.values())
            if files:
                counts = ", ".join(f"{count:,} {name.upper()}" for name, count in sorted(decoding.encodings.items()))
                what = f"{files:,} text file{'s' * (files != 1)}: {counts}"
                yield Finding("encodings", split, files, "info", what, detail={"encodings": dict(decoding.encodings)})
            for file in sorted({name for name, _, _ in decoding.lines}):
                lines = [(number, text) for name, number, text in decoding.lines if name == file]
                others = decoding.others[file]
                what = f"{len(lines):,} lines of {file} are not UTF-8"
                if others:
                    what += f", and {others:,} with characters outside ASCII are; a training stops at the first"
                    fix = "save the whole file in one encoding"
                else:
                    what += "; a training stops at the first"
                    fix = "data.encoding: cp1252, or another, if these lines read well in it"
                examples = tuple(Example(f"{file}:{number}", text, "") for number, text in lines[:MOST_ROWS])
                yield Finding("mixed_encodings", split, len(lines), "error", what, fix, examples)
