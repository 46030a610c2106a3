"""What a file is by its ending or its first bytes, where it is none that kerasft reads as text."""

from __future__ import annotations

from kerasft.errors import UserError

_AS_CSV = "save it as CSV (UTF-8) from the program that made it"
_UNPACK = "unpack it and name the files in it"
_CONVERT = "write its rows as JSON Lines, CSV or Parquet"

# First bytes -> what the file is, and what to do.
_SIGNATURES = (
    (b"\x1f\x8b", "gzip data", "give its name the ending .gz"),
    (b"PAR1", "a Parquet file", "give its name the ending .parquet, or set data.format: parquet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of an old Office program (.xls, .doc)", _AS_CSV),
    (b"%PDF", "a PDF file", "extract its text first"),
    (b"{\\rtf", "an RTF document", "save it as plain text (UTF-8)"),
    (b"BZh", "bzip2 data", "unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\0", "xz data", "unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", "unpack it, or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"ARROW1\0\0", "an Arrow file", "give its name the ending .arrow, or set data.format: arrow"),
    (b"ORC\x01", "an ORC file", _CONVERT),
    (b"SQLite format 3\0", "an SQLite database", _CONVERT),
    (b"\x89HDF\r\n", "an HDF5 file", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", _CONVERT),
    (b"\x80\x02", "a Python pickle", _CONVERT),
    (b"\x80\x03", "a Python pickle", _CONVERT),
    (b"\x80\x04", "a Python pickle", _CONVERT),
    (b"\x80\x05", "a Python pickle", _CONVERT),
    (b"\x89PNG\r\n", "a picture", "name a file of text"),
    (b"\xff\xd8\xff", "a picture", "name a file of text"),
    (b"\x7fELF", "a program", "name a file of text"),
    (b"version https://git-lfs.github.com/", "a pointer of Git LFS, not the file", "fetch it with git lfs pull"),
)
# The page of an error or a login is often saved under the name of the file that was asked for.
_PAGE = ((b"<!doctype html", b"<html"), "a web page", "download the file itself: the server may have sent an error")

_ZIPPED = (  # what is inside a zip, by the names of its first members
    (b"xl/", "an Excel workbook", f"give its name the ending .xlsx, or {_AS_CSV}"),
    (b"word/", "a Word document", "save it as plain text (UTF-8)"),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet", _AS_CSV),
    (b"opendocument", "an OpenDocument file", "save it as plain text (UTF-8)"),
    (b"", "a zip archive", _UNPACK),
)

# Endings that people name as data, with the cause that helps them.
_ENDINGS = {
    ".xls": ("an old Excel workbook", f"{_AS_CSV}, or as .xlsx"),
    ".xlsb": ("a binary Excel workbook", f"{_AS_CSV}, or as .xlsx"),
    ".ods": ("an OpenDocument spreadsheet", f"{_AS_CSV}, or as .xlsx"),
    ".numbers": ("a Numbers spreadsheet", f"{_AS_CSV}, or as .xlsx"),
    ".zip": ("a zip archive", _UNPACK),
    ".tar": ("an archive", _UNPACK),
    ".tgz": ("an archive", _UNPACK),
    ".7z": ("an archive", _UNPACK),
    ".rar": ("an archive", _UNPACK),
    ".bz2": ("bzip2 data", "unpack it, or pack it with gzip"),
    ".xz": ("xz data", "unpack it, or pack it with gzip"),
    ".zst": ("Zstandard data", "unpack it, or pack it with gzip"),
    ".doc": ("a Word document", "save it as plain text (UTF-8)"),
    ".docx": ("a Word document", "save it as plain text (UTF-8)"),
    ".odt": ("an OpenDocument text", "save it as plain text (UTF-8)"),
    ".rtf": ("an RTF document", "save it as plain text (UTF-8)"),
    ".pdf": ("a PDF file", "extract its text first"),
    ".html": ("a web page", "extract its text first"),
    ".htm": ("a web page", "extract its text first"),
    ".xml": ("XML", _CONVERT),
    ".yaml": ("YAML", _CONVERT),
    ".yml": ("YAML", _CONVERT),
    ".orc": ("an ORC file", _CONVERT),
    ".tfrecord": ("TFRecords", _CONVERT),
    ".pkl": ("a Python pickle", f"{_CONVERT}; kerasft loads no pickles"),
    ".pickle": ("a Python pickle", f"{_CONVERT}; kerasft loads no pickles"),
    ".npy": ("a NumPy array", _CONVERT),
    ".npz": ("NumPy arrays", _CONVERT),
    ".h5": ("an HDF5 file", _CONVERT),
    ".db": ("a database", _CONVERT),
    ".sqlite": ("a database", _CONVERT),
}


def refuse_ending(path: str, ending: str) -> None:
    """Raises UserError for an ending that is known not to be one of a format that is read."""
    if ending in _ENDINGS:
        what, fix = _ENDINGS[ending]
        raise UserError(f"{path}: {ending} is {what}, which kerasft does not read; {fix}")


def refuse_signature(start: bytes, name: str, whole: bool) -> None:
    """Raises UserError where a file that is to be text begins as something else does.

    Args:
        start: the first bytes.
        name: of the file.
        whole: the file is texts, which may well begin with HTML.
    """
    if start.startswith(b"PK\x03\x04"):
        _, what, fix = next(kind for kind in _ZIPPED if kind[0] in start)
        raise UserError(f"{name}: {what}, not text; {fix}")
    if start[257:262] == b"ustar":
        raise UserError(f"{name}: a tar archive, not text; {_UNPACK}")
    for signature, what, fix in _SIGNATURES:
        if what == "gzip data" and name.lower().endswith(".gz"):
            fix = "it is packed twice: unpack it once"
        if start.startswith(signature):
            raise UserError(f"{name}: {what}, not text; {fix}")
    if not whole and start.lstrip()[:32].lower().startswith(_PAGE[0]):
        raise UserError(f"{name}: {_PAGE[1]}, not data; {_PAGE[2]}")
