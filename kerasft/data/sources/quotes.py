"""Quotes of CSV and TSV that are not what they seem: those of texts, which a reader takes for the format's."""

from __future__ import annotations

from collections.abc import Sequence

_NO_QUOTES = "where quotes are parts of the texts, set data.quoting: none"


def holds_rows(lines: Sequence[str], width: int, delimiter: str) -> bool:
    """Whether the lines of one quoted row are more likely rows of their own, of a file that quotes nothing.

    Of a text that is quoted rightly and has line breaks, the first line lacks the separators behind the text and the
    last those before it. With tabs it is enough that these two have all of them. With a comma, a text itself may have
    some, as prose has, mostly with a space behind: there every line has to have its number, and no space.

    Args:
        lines: of the row, as they stand in the file.
        width: columns of the header.
        delimiter: between fields.
    """
    lines = [line for line in lines if line.strip()]
    if width < 2 or len(lines) < 2:
        return False
    if delimiter == "\t":
        lines = [lines[0], lines[-1]]
    elif any(f"{delimiter} " in line for line in lines):
        return False
    return all(line.count(delimiter) == width - 1 for line in lines)


def swallowed(where: str, lines: int, more: int) -> str:
    """The message for a row that holds others.

    Args:
        where: its place.
        lines: that it goes over.
        more: such rows that follow.
    """
    others = f" (and {more:,} more such quotes)" if more else ""
    return (
        f"{where}: a quote opens in this row and closes {lines - 1} lines later, and each line looks like a row of its "
        f"own{others}; {_NO_QUOTES}; where the text does hold these line breaks, data.quoting: minimal"
    )


def explain_row(reason: str, delimiter: str, lines: int) -> str:
    """csv's reason for refusing a row of so many lines -> what is wrong and what to do."""
    if "unexpected end of data" in reason or "field larger" in reason:
        extent = f" and takes in the {lines - 1:,} lines that follow" if lines > 1 else ""
        return (
            f"a quote that opens in this row is never closed{extent}; {_NO_QUOTES}; otherwise close it, and write "
            '"" for a quote in a quoted field'
        )
    if "expected after" in reason:
        between = {"\t": "tab", ",": "comma"}.get(delimiter, repr(delimiter))
        return (
            f'text follows a closing quote; {_NO_QUOTES}; otherwise write "" for a quote in a quoted field, or put a '
            f"{between} there"
        )
    if "new-line character" in reason:
        return (
            "a carriage return, an old Mac's line end, stands in a field without quotes; quote the text, or remove it"
        )
    return f"malformed row ({reason}); fix it"
