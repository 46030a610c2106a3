"""Rows of plain text: a text a line, a text a file, or a folder of texts by label."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

from kerasft.data.sources.files import is_folder, names_in
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.text_streams import open_text, read_lines, read_whole
from kerasft.errors import UserError
from kerasft.quoting import listed as names_of

MOST_SHOWN = 5  # names of a remark
TEXT_ENDINGS = (".txt", ".txt.gz")


def read_lines_of_text(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """One text a line; an empty line is an empty text, so that answers stay aligned with lines."""
    for number, line in enumerate(read_lines(stream, name, reading), 1):
        yield {"text": line.rstrip("\r\n")}, f"{name}:{number}"


def read_document(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """The whole file as one text; a file of white space alone has none."""
    text = read_whole(stream, name, reading)
    if text.strip():
        yield {"text": text}, name


def read_folder(path: str, name: str, reading: Reading) -> Iterator[Row]:
    """FOLDER/LABEL/*.txt, a text a file, or FOLDER/LABEL.txt, a text a line -> columns text and label."""
    names = names_in(path)
    labels = [label for label in names if is_folder(os.path.join(path, label))]
    listed = [file for file in names if _is_text(file)]
    if not labels and not listed:
        fix = f"put each text into {name}/LABEL/*.txt, or the texts of a label into the lines of {name}/LABEL.txt"
        raise UserError(f"{name}: the folder has neither sub-folders nor .txt files; {fix}")
    unread = [name for name in names if name not in labels and (labels or name not in listed)]
    for file in [] if labels else listed:
        label = file[: file.lower().rindex(".txt")]
        with open_text(os.path.join(path, file), f"{name}/{file}", reading, "txt") as stream:
            for values, where in read_lines_of_text(stream, f"{name}/{file}", reading):
                if values["text"].strip():
                    yield {"text": values["text"], "label": label}, where
    for label in labels:
        inside = names_in(os.path.join(path, label))
        files = [file for file in inside if _is_text(file)]
        unread += [f"{label}/{file}" for file in inside if not _is_text(file)]
        if not files:
            raise UserError(f"{name}/{label}: no .txt file in the folder; add texts, or remove the folder")
        for file in files:
            source = f"{name}/{label}/{file}"
            with open_text(os.path.join(path, label, file), source, reading, "document") as stream:
                yield {"text": read_whole(stream, source, reading), "label": label}, source
    if unread:
        more = f" and {len(unread) - MOST_SHOWN} more" if len(unread) > MOST_SHOWN else ""
        where = "in the folders of labels" if labels else "named after labels"
        first_unread = names_of(unread[:MOST_SHOWN])
        reading.remark(f"{name}: not read: {first_unread}{more}; texts are the .txt files {where}")


def _is_text(file: str) -> bool:
    return file.lower().endswith(TEXT_ENDINGS)
