"""Excel workbooks: the first sheet as a table, and each thing that can be wrong with one."""

import builtins
import datetime
import gzip
import io
import zipfile

import openpyxl
import pytest

from kerasft.data.sources import workbook_rows
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError


def workbook(path, *sheets):
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if not number else book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


def read(path, **reading):
    remarks = []
    return list(read_records(path, "auto", Reading(remark=remarks.append, **reading))), remarks


def test_values_and_places(tmp_path):
    day = datetime.date(2026, 1, 2)
    rows = [[], ["text", "label", "n"], ["好 é👩‍💻\n'x'", "a", 1], [], ["b", True, 0.5], [None, day], ["=1+1", "x", ""]]
    path = workbook(tmp_path / "a.xlsx", rows)
    records, remarks = read(path)
    assert [record.where.rsplit(":")[-1] for record in records] == ["3", "5", "6", "7"]
    assert [list(record.values.values()) for record in records] == [
        ["好 é👩‍💻\n'x'", "a", 1],
        ["b", True, 0.5],
        [None, "2026-01-02", None],
        [None, "x", None],  # a formula that no program has worked out
    ]
    assert remarks == []


def test_other_sheets_are_named_and_an_index_without_a_name_is_taken(tmp_path):
    path = workbook(tmp_path / "a.XLSX", [[None, "text"], [0, "a"]], [["text"], ["b"]], [["text"], ["c"]])
    records, remarks = read(path)
    assert [record.values for record in records] == [{"Unnamed: 0": 0, "text": "a"}]
    assert remarks == [f"{path}: the sheet 'Sheet' is read, and 'Sheet1', 'Sheet2' left out"]


def test_packed_and_from_a_pipe(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", [["text"], ["a"]])
    data = open(path, "rb").read()
    (tmp_path / "b.xlsx.gz").write_bytes(gzip.compress(data))
    assert [record.values for record in read(str(tmp_path / "b.xlsx.gz"))[0]] == [{"text": "a"}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["text", None, "b"], ["a"]], ":1: column 2 of the header has no name"),
        ([["text", "text"], ["a", "b"]], ":1: the header names 'text' twice"),
        ([["text"], ["a", "b"]], ":2: 2 cells where the header has 1"),
        ([["text"], ["a" * 999]], ":2: a row of more than 500 bytes"),
        ([], "a.xlsx: empty"),
        ([["text"]], "a.xlsx: empty"),
    ],
)
def test_mistakes(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        read(workbook(tmp_path / "a.xlsx", rows), max_row_bytes=500)


def test_broken_workbooks(tmp_path):
    good = open(workbook(tmp_path / "good.xlsx", [["text"], ["a"]]), "rb").read()
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, data[: len(data) // 2] if "sheet1" in info.filename else data)
    for content in (good[: len(good) // 2], other.getvalue(), changed.getvalue()):
        (tmp_path / "a.xlsx").write_bytes(content)
        with pytest.raises(UserError, match="a.xlsx: a broken Excel workbook") as error:
            read(str(tmp_path / "a.xlsx"))
        assert "\n" not in str(error.value)


def test_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook_rows, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(2 << 20))
    with pytest.raises(UserError, match="unpacks to 2,097,152 bytes, too many for a workbook"):
        read(str(tmp_path / "a.xlsx"))


def test_without_openpyxl(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", [["text"], ["a"]])
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "openpyxl":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="takes openpyxl; install it .*, or save the sheet as CSV"):
        read(path)
