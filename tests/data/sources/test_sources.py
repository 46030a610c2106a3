"""read_records: every format, round trips of arbitrary Unicode, and each mistake with its place."""

import csv
import gzip
import io
import json
import os
import pathlib
import subprocess
import sys
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerasft.data.sources.files import open_bytes
from kerasft.data.sources.json_rows import read_json
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import Record, read_records
from kerasft.errors import UserError

# Python 3.10's csv refuses NUL
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
NASTY = ['a\r\n"b",\tc', "\n\n", '"', '""', "\ufeff", "é👩\u200d💻\u2028\x85\x0b\x1c", " ", "#", "\\", "'"]
TEXTS = st.lists(st.tuples(*[st.text(CHARACTERS) | st.sampled_from(NASTY)] * 2), min_size=1, max_size=8)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def read(source, format="auto", **reading):
    return [record.values for record in read_records(source, format, Reading(**reading))]


def places(source):
    return [record.where.rsplit(":", 1)[1] for record in read_records(source)]


def delimited(rows, delimiter):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue()


def parquet(rows, path, **options):
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return str(path)


@settings(max_examples=80, deadline=None)
@given(texts=TEXTS, zipped=st.booleans(), bom=st.booleans())
@example(texts=[(text, text) for text in NASTY], zipped=False, bom=True)
def test_unicode_survives_every_format(tmp_path_factory, texts, zipped, bom):
    folder = tmp_path_factory.mktemp("round")
    texts = [row for row in texts if any(row)] or [("text", "")]  # a row of separators alone is an empty line
    expected = [{"text": text, "label": label} for text, label in texts]
    contents = {
        "a.csv": delimited([("text", "label"), *texts], ","),
        "a.tsv": delimited([("text", "label"), *texts], "\t"),
        "a.tab": delimited([("text", "label"), ("string", "d"), ("", "class"), *texts], "\t"),
        "a.jsonl": "".join(json.dumps(row, ensure_ascii=zipped) + "\n" for row in expected),
        "b.jsonl": "\r\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in expected),
        "a.json": json.dumps(expected, ensure_ascii=zipped, indent=1 if bom else None),
    }
    for name, content in contents.items():
        path = write(folder / (name + ".gz" * zipped), "\ufeff" * bom + content)
        assert read(path, quoting="minimal") == expected, name
    assert read(parquet(expected, folder / "a.parquet", row_group_size=2)) == expected


def test_a_document_is_the_whole_file(tmp_path):
    path = write(tmp_path / "a.txt.gz", "\ufeffone\r\n\n  two \nlast\n")
    (record,) = read_records([path], "document")
    assert record == Record({"text": "one\r\n\n  two \nlast\n"}, path)
    with pytest.raises(UserError, match="b.txt: empty"):
        read(write(tmp_path / "b.txt", "\n \n"), "document")
    with pytest.raises(UserError, match="c.txt:2: byte 0xff is not UTF-8"):
        read(write(tmp_path / "c.txt", b"a\n\xff"), "document")


def test_a_folder_with_a_file_a_label_has_a_text_a_line(tmp_path):
    write(tmp_path / "neg.txt", "坏\n\n不好\n")
    write(tmp_path / "pos.txt", "好")
    assert read(str(tmp_path)) == [
        {"text": "坏", "label": "neg"},
        {"text": "不好", "label": "neg"},
        {"text": "好", "label": "pos"},
    ]
    assert [place.rsplit("/", 1)[1] for place in (record.where for record in read_records(str(tmp_path)))] == [
        "neg.txt:1", "neg.txt:3", "pos.txt:1"
    ]  # fmt: skip


def test_a_row_of_separators_alone_is_an_empty_line(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\n\t\none\ta\n\t\n\tb\n")
    assert read(path) == [{"text": "one", "label": "a"}, {"text": "", "label": "b"}]
    assert places(path) == ["3", "5"]
    alone = write(tmp_path / "b.csv", 'text\none\n""\n')
    assert read(alone) == [{"text": "one"}, {"text": ""}]


def test_parquet_values_row_groups_and_gz(tmp_path):
    rows = [{"text": str(number), "labels": ["a"] * (number % 3), "value": number / 2} for number in range(3000)]
    path = parquet(rows, tmp_path / "a.parquet", row_group_size=700)
    assert read(path) == rows
    assert places(path) == [str(number) for number in range(1, 3001)]
    assert read(write(tmp_path / "b.parquet.gz", pathlib.Path(path).read_bytes())) == rows


def test_arrow_files_and_streams(tmp_path):
    rows = [{"text": str(number), "labels": ["a"] * (number % 3), "value": number / 2} for number in range(3000)]
    table = pa.Table.from_pylist(rows)
    table = table.set_column(0, "text", table["text"].dictionary_encode())
    for name, make in (("a.arrow", pa.ipc.new_file), ("b.arrow", pa.ipc.new_stream), ("c.feather", pa.ipc.new_file)):
        with pa.OSFile(str(tmp_path / name), "wb") as file, make(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=700)
        path = str(tmp_path / name)
        assert read(path) == rows and places(path) == [str(number) for number in range(1, 3001)]
    content = pathlib.Path(tmp_path / "b.arrow").read_bytes()
    assert read(write(tmp_path / "d.arrow.gz", content)) == rows
    for cut in (len(content) // 2, 40):
        with pytest.raises(UserError, match=r"e.arrow:\d+: broken Arrow: .*; write the file again"):
            read(write(tmp_path / "e.arrow", content[:cut]))


def test_line_numbers_after_quoted_newlines_and_empty_lines(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\r\n"one\r\ntwo\r\n",a\r\n\r\nthree,b\r\n"four",c')
    assert [record.where for record in read_records(path)] == [f"{path}:{line}" for line in (2, 6, 7)]
    assert read(path)[0] == {"text": "one\r\ntwo\r\n", "label": "a"}
    assert places(write(tmp_path / "a.jsonl", '{"a": 1}\n\n  \n {"a": 2} \n')) == ["1", "4"]
    assert places(write(tmp_path / "a.json", '\n[\n\n{"a":\n1}\n,{"a": 2}, {"a": 3}\n]\n')) == ["4", "6", "6"]


def test_long_fields(tmp_path):
    text = "word, " * 200_000
    assert read(write(tmp_path / "a.csv", f'text\n"{text}"\n')) == [{"text": text}]
    assert read(write(tmp_path / "a.json", json.dumps([{"text": text}] * 3))) == [{"text": text}] * 3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.text(CHARACTERS, max_size=5), st.text(CHARACTERS) | st.integers() | st.none())))
def test_json_array_whatever_the_reads_cut(tmp_path_factory, rows):
    from kerasft.data.sources import json_rows

    class OneByte(io.BufferedReader):
        def read(self, size=-1):
            return super().read(1 if size > 0 else size)

    stream = OneByte(io.BytesIO(json.dumps(rows, ensure_ascii=False, indent=1).encode()))
    assert [values for values, _ in json_rows.read_json(stream, "a.json", Reading())] == rows


def test_orange_header_is_told_from_a_plain_tsv(tmp_path):
    orange = "Category\tText\nd\tstring\nclass\t\nearn\tprofit\n"
    plain = "Category\tText\nearn\tprofit\nacq\tclass\n"
    stripped = "Category\tText\nearn loss\tstring\n\nearn\tprofit\n"
    assert read(write(tmp_path / "a.tab", orange)) == [{"Category": "earn", "Text": "profit"}]
    assert places(str(tmp_path / "a.tab")) == ["4"]
    assert len(read(write(tmp_path / "b.tab", plain))) == 2
    assert read(write(tmp_path / "c.tab", stripped)) == [{"Category": "earn", "Text": "profit"}]
    assert len(read(str(tmp_path / "a.tab"), "tsv")) == 3
    assert read(write(tmp_path / "d.tab", "Text\na\n")) == [{"Text": "a"}]


def test_plain_text_keeps_empty_lines(tmp_path):
    path = write(tmp_path / "a.txt.gz", "\ufeffone\r\n\n  two \nlast")
    assert [values["text"] for values in read(path)] == ["one", "", "  two ", "last"]


def test_text_folder(tmp_path):
    write(tmp_path / "d/pos/2.txt", "good\nline")
    write(tmp_path / "d/pos/10.txt.gz", "fine")
    write(tmp_path / "d/neg/1.txt", "\ufeff")
    write(tmp_path / "d/README.md", "not a class")
    write(tmp_path / "d/.hidden/1.txt", "no")
    write(tmp_path / "d/pos/more/3.txt", "deeper")
    remarks = []
    records = list(read_records(str(tmp_path / "d"), "auto", Reading(remark=remarks.append)))
    (remark,) = remarks
    assert "not read: README.md, pos/more; texts are the .txt files in the folders of labels" in remark
    assert [record.values for record in records] == [
        {"text": "", "label": "neg"},
        {"text": "fine", "label": "pos"},
        {"text": "good\nline", "label": "pos"},
    ]
    assert records[-1].where == f"{tmp_path}/d/pos/2.txt"


def test_lists_and_globs_are_read_in_order(tmp_path):
    for name in ("b", "a", "c"):
        write(tmp_path / f"part-{name}.jsonl", json.dumps({"text": name}))
    write(tmp_path / "x[1].csv", "text\nliteral\n")
    sources = [str(tmp_path / "x[1].csv"), str(tmp_path / "part-[ab].jsonl"), str(tmp_path / "**/part-c.*")]
    assert [values["text"] for values in read(sources)] == ["literal", "a", "b", "c"]


def test_explicit_format_beats_the_ending(tmp_path):
    path = write(tmp_path / "data.gz", "text\tlabel\na\tb\n")
    assert read(path, "tsv") == [{"text": "a", "label": "b"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\na,b\nc\n", "a.csv:3: 1 fields where the header has 2 (text, label)"),
        ("a.csv", "text,label\na,b,c\n", "a.csv:2: 3 fields where the header has 2"),
        ("a.csv", 'text,label\n"a\n\nb,c\n', "a.csv:2: a quote that opens in this row is never closed"),
        ("a.csv", 'text,label\na,b\n"a"b,c\n', "a.csv:3: text follows a closing quote"),
        ("a.csv", "text,text\na,b\n", "a.csv:1: the header names 'text' twice"),
        ("a.tsv", "text\t\na\tb\n", "a.tsv:1: column 2 of the header has no name"),
        ("a.csv", b"text\nok\ncaf\xe9\n", "a.csv:3: byte 0xe9 is not UTF-8"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', "a.jsonl:2: byte 0xff is not UTF-8"),
        ("a.json", b'[{"a": 1},\n{"a": "\xff"}]\n', "a.json:2: byte 0xff is not UTF-8"),
        ("a.json", b'[{"a": "\xc3', "a.json:1: byte 0xc3 is not UTF-8"),
        ("a.txt", b"a\n\xe4\xb8\n", "a.txt:2: byte 0xe4 is not UTF-8"),
        ("a.csv", "", "a.csv: empty: there is no example"),
        ("a.csv", "text,label\n\n", "a.csv: empty"),
        ("a.tab", "text\nstring\n\n", "a.tab: empty"),
        ("a.jsonl", "\n\n", "a.jsonl: empty"),
        ("a.jsonl", "", "a.jsonl: empty"),
        ("a.json", "[]", "a.json: empty"),
        ("a.txt.gz", "", "a.txt.gz: empty"),
        ("a.jsonl", '{"a": 1}\n{"a": }\n', "a.jsonl:2: broken JSON: Expecting value at character 7; write one whole"),
        ("a.jsonl", '{"a": 1} {"a": 2}\n', "a.jsonl:1: broken JSON: Extra data"),
        ("a.jsonl", '{"a": "x: y"}\n {"a": 1, "b": 2, "a" : 3}\n', "a.jsonl:2: the key 'a' is twice in one object"),
        ("a.jsonl", '{"a": {"b": [{"c": 1, "\\u0063": 2}]}}\n', "a.jsonl:1: the key 'c' is twice"),
        ("a.json", '[{"a": 1},\n{"a": 2,\n"a": 3}]', "a.json:2: the key 'a' is twice in one object; keep one"),
        ("a.json", '{"a": [1],\n"b": [2],\n"a": [3]}', "a.json:3: the key 'a' is twice"),
        ("a.jsonl", '{"a": 1}\n"b"\n', "a.jsonl:2: a string where an object is expected"),
        ("a.jsonl", "12\n", "a.jsonl:1: a number where an object is expected"),
        ("a.jsonl", '{"a": ' + "[" * 200_000, "a.jsonl:1: broken JSON: nested too deeply"),
        ("a.jsonl", '{"a": "\\ud83d"}\n', "a.jsonl:1: \\ud83d is half of a surrogate pair"),
        ("a.json", '[{"a": "\\udc00"}]', "a.json:1: \\udc00 is half"),
        ("a.json", '[{"a": 1},\n{"a": 2}', "a.json:2: broken JSON: the end of the file where ']' is expected"),
        ("a.json", '[{"a": 1}\n{"a": 2}]', "a.json:2: broken JSON: '{' where ']' is expected"),
        ("a.json", '[{"a": 1},\n{"a": 2]' + " " * 100, "a.json:2: broken JSON: Expecting ',' delimiter"),
        ("a.json", '[{"a": 1},\n3]', "a.json:2: a number where an object is expected"),
        ("a.json", '[{"a": 1}]\nx', "a.json:2: text after the end of the array"),
        ("a.parquet", "not parquet", "a.parquet:1: broken Parquet"),
        ("a.arrow", "not arrow", "a.arrow:1: broken Arrow"),
        ("a.md", "x", "a.md: no format is known for the ending '.md'"),
    ],
)
def test_mistakes_in_content(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(UserError) as error:
        read(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_broken_gzip(tmp_path):
    write(tmp_path / "a.csv", "text\n" + "a\n" * 1000)
    (tmp_path / "plain.csv.gz").write_bytes(b"text\na\n")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(os.urandom(1000).hex().encode())[:-200])
    for name in ("plain.csv.gz", "cut.csv.gz"):
        with pytest.raises(UserError, match=f"{name}: broken gzip data"):
            read(str(tmp_path / name))


def test_missing_things_are_told_at_the_call(tmp_path, monkeypatch):
    write(tmp_path / "train.csv", "text\na\n")
    (tmp_path / "empty").mkdir()
    for source, message in [
        ("trian.csv", "trian.csv: not found; did you mean .*train.csv\\?"),
        ("no/such/folder.csv", "not found; .* holds empty, train.csv"),
        ("*.jsonl", r"\*\.jsonl: no file matches"),
        ("empty/x.csv", "empty holds nothing"),
    ]:
        with pytest.raises(UserError, match=message):
            read_records(str(tmp_path / source))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^trai\.csv: not found; did you mean train\.csv\?"):
        read_records("trai.csv")
    with pytest.raises(UserError, match="list of sources is empty"):
        read_records([])
    with pytest.raises(UserError, match="unknown format 'cvs'; did you mean csv"):
        read_records("train.csv", "cvs")
    with pytest.raises(UserError, match="is a file, but data.format is folder"):
        read_records("train.csv", "folder")
    with pytest.raises(UserError, match="is a folder, but data.format is csv"):
        read_records("empty", "csv")


def test_a_web_address_is_no_file():
    with pytest.raises(UserError, match=r"^https://example\.org/a\.csv: a web address; download it"):
        read_records("https://example.org/a.csv")


def test_folders_that_hold_no_classes(tmp_path):
    write(tmp_path / "a/train.csv", "text\n")
    with pytest.raises(UserError, match="neither sub-folders nor .txt files; put each text into .*/LABEL"):
        read(str(tmp_path / "a"))
    write(tmp_path / "b/pos/x.md", "text")
    with pytest.raises(UserError, match="b/pos: no .txt file"):
        read(str(tmp_path / "b"))


def test_get_names_role_column_and_place():
    record = Record({"Text": "a", "Category": "b"}, "train.csv:17")
    assert record.get("Text", "text") == "a"
    with pytest.raises(UserError) as error:
        record.get("text", "text")
    expected = "data.columns.text: no column 'text' at train.csv:17; did you mean 'Text'? there are: Text, Category"
    assert str(error.value) == expected
    with pytest.raises(UserError, match=r"did you mean 'te\\u0301xt', of which 't\\xe9xt' is another Unicode form"):
        Record({"te\u0301xt": "a"}, "train.csv:2").get("t\u00e9xt", "text")


def test_reading_holds_one_record_at_a_time(tmp_path):
    row = {"text": "x" * 10_000}
    lines = write(tmp_path / "a.jsonl", (json.dumps(row) + "\n") * 4000)
    array = write(tmp_path / "a.json", json.dumps([row] * 4000))
    for path in (lines, array):
        tracemalloc.start()
        assert sum(1 for _ in read_records(path)) == 4000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20, f"{peak} bytes for a file of 40 MB"


def test_broken_array_element_does_not_read_the_rest(tmp_path):
    path = write(tmp_path / "a.json", '[{"a" 1},' + '{"a": 1},' * 1_000_000 + "{}]")
    with open_bytes(path) as stream:
        with pytest.raises(UserError, match="a.json:1: broken JSON: Expecting ':'"):
            list(read_json(stream, "a.json", Reading()))
        assert stream.tell() < 200_000


def test_package_source_names_the_package_in_places(tmp_path, monkeypatch):
    from kerasft.data.sources import sources

    path = write(tmp_path / "train.csv", "text\na\n")
    monkeypatch.setattr(sources, "fetch_package_path", lambda spec: pathlib.Path(path))
    record = next(read_records(f"pypi:toy==1.0/train.csv#sha256={'0' * 64}"))
    assert record.where == "pypi:toy==1.0/train.csv:2"


def test_local_sources_do_not_import_tensorflow(tmp_path):
    path = write(tmp_path / "a.csv", "text\na\n")
    code = (
        f"import sys; from kerasft.data.tables.table import Table\n"
        f"from kerasft.data.sources.sources import read_records\n"
        f"list(read_records({path!r})); sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("place", ["file", "gs"])
def test_paths_of_tf_io_gfile(tmp_path, place, request):
    root = f"file://{tmp_path}"
    write(tmp_path / "a.csv.gz", "text\nrémote\n" + "b\n" * 5000)
    parquet([{"text": "p"}], tmp_path / "a.parquet")
    write(tmp_path / "d/pos/1.txt", "folder")
    if place == "gs":
        request.getfixturevalue("cloud_storage")
        local, root = root, "gs://bucket/data"
        for name in ("a.csv.gz", "a.parquet", "d/pos/1.txt"):
            tf.io.gfile.copy(f"{local}/{name}", f"{root}/{name}")
    assert len(read(f"{root}/a.csv.gz")) == 5001
    assert read(f"{root}/a.csv.gz")[0] == {"text": "rémote"}
    assert read(f"{root}/*.parquet") == [{"text": "p"}]
    assert read(f"{root}/d") == [{"text": "folder", "label": "pos"}]
    with pytest.raises(UserError, match="b.csv: not found; check the path and your access"):
        read_records(f"{root}/b.csv")


SHARED = pathlib.Path(os.environ.get("KERASFT_SHARED_DATA", pathlib.Path(__file__).parents[3] / "../shared/data"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data sets here")
def test_every_shared_data_set_is_read():
    files = sorted(SHARED.glob("*/validation.jsonl"))
    assert files
    for file in files:
        records = list(read_records(str(file)))
        assert len(records) == sum(1 for line in file.open("rb") if line.strip())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "{0},{0}\na,b\n"),
        ("b.csv", "{0},{0}1\na\n"),
        ("c.json", '{{"{0}": [{{"a": 1}}], "b": [{{"a": 1}}]}}'),
        ("d.json", '{{"{0}": [1, 2], "{0}1": [1]}}'),
        ("e.json", '{{"{0}": {{"0": 1}}, "b": {{"1": 1}}}}'),
        ("f.json", '{{"{0}": [{{"a": 1}}]}} 3'),
    ],
)
def test_no_message_is_as_long_as_a_name_in_the_data(tmp_path, name, content):
    write(tmp_path / name, content.format("a long text, without a header. ".replace(",", "") * 200))
    remarks = []
    with pytest.raises(UserError) as error:
        list(read_records(str(tmp_path / name), "auto", Reading(remark=remarks.append)))
    assert all(len(line) < 400 + len(str(tmp_path)) for line in [str(error.value), *remarks])


@pytest.mark.parametrize(
    "lines, columns",
    [
        ('review;stars;\n"good; so\ngood";5;\nbad;1;\nmiddling;3;\n', "review, stars"),
        ("text,label\na b,x\nc d,y\ne f,x\n", "text, label"),
        ("Well, then\nYes, indeed\nNo, never\nOh, so\n", None),
        ("a;b\nc\nd;e;f\ng\n", None),
        ("x" * 200_000 + "\n", None),
    ],
)
def test_a_table_that_is_called_a_text_is_told(tmp_path, lines, columns):
    said: list[str] = []
    found = read(write(tmp_path / "a.txt", lines), remark=said.append)
    assert [row["text"] for row in found] == lines.splitlines()
    told = [line for line in said if "looks like a table" in line]
    assert len(told) == (columns is not None) and all(f"columns {columns};" in line for line in told)
