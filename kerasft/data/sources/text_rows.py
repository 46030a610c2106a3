"""Rows of plain text: a text a line, a text a file, or a folder of texts by label."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence

from kerasft.data.sources.files import is_folder, names_in
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.text_streams import open_text, read_lines, read_whole
from kerasft.errors import UserError
from kerasft.quoting import listed as names_of

MOST_SHOWN = 5  # names of a remark
TEXT_ENDINGS = (".txt", ".txt.gz")
LOOKED_AT = 20  # lines, for whether they are those of a table
LEAST_RECORDS = 4  # of a table, its header among them
LONGEST_NAME = 40  # characters of a column's name


def read_lines_of_text(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """One text a line; an empty line is an empty text, so that answers stay aligned with lines."""
    first: list[str] = []  # looked at as they pass: the other end of a pipe may wait for an answer to each
    for number, line in enumerate(read_lines(stream, name, reading), 1):
        if number <= LOOKED_AT:
            first.append(line)
        if number == LOOKED_AT:
            _remark_table(first, name, reading)
        yield {"text": line.rstrip("\r\n")}, f"{name}:{number}"
    if len(first) < LOOKED_AT:
        _remark_table(first, name, reading)


def _remark_table(lines: Sequence[str], name: str, reading: Reading) -> None:
    if columns := _columns_of_table(lines):
        reading.remark(
            f"{name}: read as a text a line, but it looks like a table with the columns {names_of(columns)}; if it is "
            "one, give it the ending .csv, or set data.format: csv"
        )


def _columns_of_table(lines: Sequence[str]) -> list[str]:
    """The names in the header, where some separator divides all of these lines into as many fields; otherwise []."""
    for separator in "\t;,":
        try:
            records = [record for record in csv.reader(lines, delimiter=separator) if record]
        except csv.Error:  # a field that is too long for one: no table
            continue
        records = records if len(lines) < LOOKED_AT else records[:-1]  # the last may go on
        names = [each.strip() for each in records[0]] if records else []
        while names and not names[-1]:
            names.pop()
        alike = len({len(record) for record in records}) == 1 and len(records) >= LEAST_RECORDS
        named = all(0 < len(each) <= LONGEST_NAME for each in names) and len(set(names)) == len(names)
        prose = separator == "," and bool(records) and " " in "".join(records[0])  # commas are in sentences, too
        if alike and named and len(names) > 1 and not prose:
            return names
    return []


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
