"""Data of strangers: what never ends, what grows when it is unpacked, what no row should be. Memory is bounded."""

import gzip
import os
import socket
import tracemalloc
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasft.data.sources import files
from kerasft.data.sources.readers import ENDINGS
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_input, read_records
from kerasft.errors import UserError

LIMIT = 100_000
MEMORY = 12 << 20


def refused(path, format="auto", limit=LIMIT, remark=lambda text: None):
    """The message that a source is refused with, which takes bounded memory."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as error:
            for _ in read_records(str(path), format, Reading(max_row_bytes=limit, remark=remark)):
                pass
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    return str(error.value)


@pytest.mark.parametrize("format", ["csv", "txt", "document", "jsonl", "parquet", "arrow", "xlsx", "conll"])
def test_devices_pipes_and_sockets_are_refused_before_they_are_opened(tmp_path, format):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        for path, what in (("/dev/zero", "a device"), ("pipe", "a pipe"), ("sock", "a socket"), ("link", "a device")):
            with pytest.raises(UserError, match=f"{path}: {what}, not a file"):
                read_records(str(tmp_path / path), format)


def test_a_pipe_in_a_folder_of_texts_and_in_a_glob(tmp_path):
    (tmp_path / "pos").mkdir()
    os.mkfifo(tmp_path / "pos" / "1.txt")
    assert "pos/1.txt: a pipe, not a file" in refused(tmp_path)
    assert "pos/1.txt: a pipe, not a file" in refused(tmp_path / "pos" / "*.txt")


@pytest.mark.parametrize(
    ("name", "fill"),
    [(f"a{ending}.gz", b"0") for ending in ENDINGS if ENDINGS[ending] not in ("parquet", "arrow", "xlsx")]
    + [("a.csv.gz", b"b\n"), ("a.json.gz", b'["'), ("a.json.gz", b'{"a": "'), ("a.jsonl.gz", b"[[")],
)
def test_one_row_without_an_end(tmp_path, name, fill):
    start = {b"b\n": b'text\n"b', b'["': b'[{"a": ["', b'{"a": "': b'{"a": "', b"[[": b'[{"a":'}.get(fill, b"")
    filling = {b'["': b'", "', b'{"a": "': b" "}.get(fill, fill)
    with gzip.open(tmp_path / name, "wb", 1) as file:
        file.write(start)
        for _ in range(20):
            file.write(filling * ((1 << 18) // len(filling)))
    message = refused(tmp_path / name)
    assert "a row of more than 100,000 bytes" in message or "nested too deeply" in message


def test_large_documents_and_folders(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "texts" / label).mkdir(parents=True)
        with open(tmp_path / "texts" / label / "1.txt", "wb") as file:
            file.truncate(1 << 33)  # of zeros, without a block on the disk
    assert "texts/a/1.txt: a row of more than 100,000 bytes" in refused(tmp_path / "texts")
    assert "1.txt: a row of more than 100,000 bytes" in refused(tmp_path / "texts/a/1.txt", "document")
    assert "1.txt:1: a row of more than" in refused(tmp_path / "texts/a/1.txt")


def test_a_gzip_bomb_of_short_rows_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SMALL_BYTES", 1 << 17)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(b"a\n" * (1 << 17)) for _ in range(4)] + [packer.flush()]
    (tmp_path / "a.txt.gz").write_bytes(b"".join(parts))
    assert "a.txt.gz: unpacks to more than 200 times its size" in refused(tmp_path / "a.txt.gz")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_a_parquet_file_that_names_one_text_in_every_row(tmp_path, kind):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 2000 + [1], pa.int32()), pa.array(["x" * 50_000, "y"]))
    labels = pa.array(["a"] * 2000 + [None])
    pq.write_table(pa.table({"text": texts.dictionary_decode().cast(kind), "label": labels}), tmp_path / "a.parquet")
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    count = 0
    for record in read_records(str(tmp_path / "a.parquet"), reading=Reading(max_row_bytes=LIMIT)):
        count += 1
        if count in (1, 2001):
            assert record.values == [
                {"text": "x" * 50_000 if kind != pa.binary() else b"x" * 50_000, "label": "a"},
                {"text": "y" if kind != pa.binary() else b"y", "label": None},
            ][count > 1]  # fmt: skip
            assert pa.total_allocated_bytes() - before < MEMORY  # written out it is 100 MB
    assert count == 2001 and tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()


def test_a_row_of_parquet_that_is_too_large(tmp_path):
    rows = {"text": ["a", "b" * 150_000, "c"], "tags": [["x"], ["y"], []]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    assert "a.parquet:2: a row of more than 100,000 bytes" in refused(tmp_path / "a.parquet")
    pq.write_table(pa.table({"tags": [["x" * 9_000] * 900] * 3}), tmp_path / "b.parquet", use_dictionary=False)
    assert "b.parquet:1: a row of more than 100,000 bytes" in refused(tmp_path / "b.parquet")


def test_the_standard_input_is_bounded_too(tmp_path, monkeypatch):
    with open("/dev/zero", "rb") as endless:
        monkeypatch.setattr("sys.stdin", type("In", (), {"buffer": endless}))
        for format in ("txt", "csv", "jsonl", "document"):
            with pytest.raises(UserError, match="stdin(:1)?: (a row of more than|a zero byte)"):
                next(read_input("-", format, Reading(max_row_bytes=LIMIT)))


def test_a_name_with_a_zero_byte_or_a_home_in_it(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="not found"):
        read_records("a\0b.csv")
    (tmp_path / "a.csv").write_text("text\na\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [record.values for record in read_records(["~/a.csv", "~/*.csv"])] == [{"text": "a"}] * 2
