"""Files in other encodings than UTF-8, with other line ends, and files that are no text at all."""

import gzip
import json
import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.sources.encodings import guess_encoding
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError

CHINESE = "标题,类别\n这家店的菜很好吃，下次还来,好评\n等了一个小时，服务也不行,差评\n"
SAMPLES = {
    "euc-kr": "글,분류\n음식이 정말 맛있고 친절했어요,긍정\n다시는 가지 않을 거예요,부정\n",
    "euc-jp": "文,分類\n料理がとても美味しかったです,良い\nもう二度と行きません,悪い\n",
    "shift_jis": "文,分類\n料理がとても美味しかったです,良い\nもう二度と行きません,悪い\n",
    "big5": "標題,類別\n這家店的菜很好吃，下次還來,好評\n等了一個小時，服務也不行,差評\n",
    "cp1251": "текст,метка\nочень вкусно и недорого,да\nбольше не приду сюда,нет\n",
    "koi8-r": "текст,метка\nочень вкусно и недорого,да\nбольше не приду сюда,нет\n",
    "cp1252": "text,label\nà côté du théâtre très goûté,oui\nmüßig ärgerlich und öde,nein\n",
    "iso8859-7": "κείμενο,ετικέτα\nπολύ νόστιμο και φθηνό,ναι\nδεν θα ξαναπάω,όχι\n",
    "tis-620": "ข้อความ,ป้าย\nอาหารอร่อยมาก,ดี\nจะไม่กลับมาอีก,แย่\n",
}


def read(path, **reading):
    remarks = []
    format = reading.pop("format", "auto")
    records = read_records(str(path), format, Reading(remark=remarks.append, **reading))
    return [record.values for record in records], remarks


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "gb2312", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_chinese_file_is_read_by_a_guess_that_is_said(tmp_path, encoding, packed):
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    data = CHINESE.encode(encoding)
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    rows, remarks = read(path)
    assert rows[1] == {"标题": "等了一个小时，服务也不行", "类别": "差评"}
    assert len(remarks) == 1 and remarks[0].startswith(f"{path}: read as ") and "data.encoding" in remarks[0]
    assert read(path, encoding=encoding) == (rows, [])


@pytest.mark.parametrize("encoding", SAMPLES)
def test_what_is_not_chinese_is_not_taken_for_it_and_read_by_the_key(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes(SAMPLES[encoding].encode(encoding))
    with pytest.raises(UserError, match=r"a\.csv:1|a\.csv:2: byte 0x.. is not UTF-8 .*data\.encoding"):
        read(path)
    rows, remarks = read(path, encoding=encoding)
    assert [",".join(row.values()) for row in rows] == SAMPLES[encoding].splitlines()[1:]
    assert not remarks


def test_a_wrong_encoding_names_the_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("one\ntwo\nfünf\n".encode("cp1252"))
    with pytest.raises(UserError, match="a.txt: not utf-8|a.txt:3: byte 0xfc is not UTF-8"):
        read(path, encoding="utf-8")
    path.write_bytes(b"one\ntwo\n\xff\n")
    with pytest.raises(UserError, match="a.txt: not gb18030 from line [13] on .*; correct data.encoding"):
        read(path, encoding="gb18030")


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n")), min_size=1),
    encoding=st.sampled_from(["gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7"]),
)
def test_any_text_comes_back_from_a_named_encoding(tmp_path_factory, texts, encoding):
    folder = tmp_path_factory.mktemp("named")
    texts = [text.removeprefix("\ufeff") for text in texts]  # at the beginning of a file it is a mark
    rows = [{"text": text} for text in texts]
    (folder / "a.txt").write_bytes("".join(f"{text}\n" for text in texts).encode(encoding))
    (folder / "a.jsonl").write_bytes(
        "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode(encoding)
    )
    for name in ("a.txt", "a.jsonl"):
        assert read(folder / name, encoding=encoding)[0] == rows


@given(st.text())
def test_utf8_is_never_taken_for_another(text):
    data = text.replace("\0", "").encode("utf-8", "ignore")
    assert guess_encoding(data) is None
    assert guess_encoding(data[:-1]) is None


def test_a_letter_that_the_sample_cuts_is_no_other_encoding():
    data = ("é" * 99).encode()
    assert guess_encoding(data[:-1]) is None
    assert guess_encoding(("这家店很好吃" * 9).encode("gb18030")[:-1]) == "gb18030"


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.jsonl", "a.conll"])
def test_line_ends_of_an_old_mac(tmp_path, name):
    lines = {
        "a.csv": ["text", "one", "two"],
        "a.txt": ["one", "two"],
        "a.jsonl": ['{"text": "one"}', '{"text": "two"}'],
    }
    lines["a.conll"] = ["one O", "", "two O", ""]
    (tmp_path / name).write_bytes("\r".join(lines[name]).encode())
    rows, remarks = read(tmp_path / name)
    assert [row.get("text", (row.get("tokens") or [""])[0]) for row in rows] == ["one", "two"]
    assert "old Mac" in remarks[0]


def test_a_carriage_return_in_a_field_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,label\na\rb,x\nc,y\n")
    with pytest.raises(UserError, match="a.csv:2: a carriage return, an old Mac's line end"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", gzip.compress(b"text\na\n", mtime=0), "a.csv: gzip data, not text; give its name the ending .gz"),
        ("a.jsonl", lzma.compress(b"{}"), "a.jsonl: xz data, not text; unpack it"),
        (
            "a.csv",
            b"PK\x03\x04\x14\0\6\0[Content_Types].xml..xl/workbook.xml",
            "an Excel workbook, not text; .*[.]xlsx",
        ),
        ("a.tsv", b"PK\x03\x04\x14\0\6\0word/document.xml", "a Word document, not text"),
        (
            "a.csv",
            b"PK\x03\x04\x14\0\0\0\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
            "an OpenDocument sp",
        ),
        ("a.txt", b"PK\x03\x04notes.txt", "a zip archive, not text; unpack it"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "an old Office program .*save it as CSV"),
        ("a.txt", b"%PDF-1.7\n", "a PDF file, not text; extract its text"),
        ("a.csv", b"PAR1\x15\4", "a Parquet file, not text; give its name the ending .parquet"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        ("a.csv", b"\n<!DOCTYPE html>\n<html>", "a web page, not data"),
        ("a.parquet", b"PK\x03\x04xl/", "a.parquet: an Excel workbook"),
        ("a.xlsx", b"text,label\n", "a.xlsx: not an Excel workbook"),
        ("a.xls", b"", "a.xls: .xls is an old Excel workbook, which kerasft does not read; save it as CSV"),
        ("a.DOCX", b"", "a.DOCX: .docx is a Word document"),
        ("a.zip", b"", "a.zip: .zip is a zip archive"),
        ("a.tar.gz", b"", "a.tar.gz: .tar is an archive"),
        ("noending", b"", "noending: no format is known for a name without an ending; rename"),
        ("a.csv", b"text\na\0b\nc\n", "a.csv:2: a zero byte"),
        ("a.txt", b"one\n" + bytes(4096), "a.txt:2: a zero byte"),
        ("a.jsonl", b'{"a": "b\0"}\n', "a.jsonl:1: a zero byte"),
    ],
)
def test_what_is_no_text_is_named_for_what_it_is(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["A.CSV", "a.Csv.GZ", "a.JSONL", "a.TXT.Gz"])
def test_endings_in_any_case(tmp_path, name):
    data = b'{"text": "a"}\n' if "JSON" in name else b"a\n" if "TXT" in name else b"text\na\n"
    (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if name.lower().endswith("gz") else data)
    assert read(tmp_path / name) == ([{"text": "a"}], [])


def test_texts_may_begin_as_web_pages_do(tmp_path):
    (tmp_path / "a.txt").write_text("<html> is a tag\n", encoding="utf-8")
    assert read(tmp_path / "a.txt")[0] == [{"text": "<html> is a tag"}]
