"""Table against plain Python lists, in memory and spilled."""

import gc
import pathlib
import tempfile

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.tables import store, table
from kerasft.data.tables.table import Table
from kerasft.errors import UserError

SCHEMA = pa.schema(
    [("text", pa.string()), ("labels", pa.list_(pa.string())), ("value", pa.float64()), ("count", pa.int64())]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROW = st.fixed_dictionaries(
    {
        "text": st.none() | TEXT,
        "labels": st.none() | st.lists(st.none() | TEXT, max_size=3),
        "value": st.none() | st.floats(allow_nan=False),
        "count": st.integers(-(2**63), 2**63 - 1),
    }
)
ROWS = st.lists(ROW, max_size=40)


@pytest.fixture(autouse=True, scope="module")
def small_chunks():
    """Chunks of 8 rows, so that few rows make many chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "CHUNK_ROWS", 8)
        patch.setattr(table, "CHUNK_ROWS", 8)
        patch.setattr(table, "GATHER_ROWS", 5)
        yield


def spilled_folders(folder):
    return list(pathlib.Path(folder).glob("kerasft-*"))


def both(rows):
    return Table.from_rows(iter(rows), SCHEMA), Table.from_rows(iter(rows), SCHEMA, spill_bytes=0)


def some_numbers(below, most):
    return st.lists(st.integers(0, max(below - 1, 0)), max_size=most if below else 0)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data())
def test_agrees_with_lists(rows, data):
    wanted = data.draw(some_numbers(len(rows), 30))
    size = data.draw(st.integers(1, 12))
    for made in both(rows):
        assert len(made) == len(rows)
        assert made.rows(range(len(rows))) == rows
        assert made.rows(wanted) == [rows[at] for at in wanted]
        view, expected = made.select(np.array(wanted, int)), [rows[at] for at in wanted]
        for piece, whole in ((made, rows), (view, expected)):
            assert piece.column("labels") == [row["labels"] for row in whole]
            batches = list(piece.batches(size))
            assert [len(batch["text"]) for batch in batches[:-1]] == [size] * (len(batches) - 1)
            columns = {name: [v for batch in batches for v in batch[name]] for name in SCHEMA.names} if batches else {}
            assert [dict(zip(columns, values)) for values in zip(*columns.values())] == whole
            assert piece.numpy("count").tolist() == [row["count"] for row in whole]
        again = data.draw(some_numbers(len(wanted), 10))
        assert view.select(again).rows(range(len(again))) == [expected[at] for at in again]


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data())
def test_fingerprint_depends_on_the_rows_alone(rows, data):
    in_memory, spilled = both(rows)
    expected = in_memory.fingerprint()
    assert spilled.fingerprint() == expected
    order = data.draw(st.permutations(range(len(rows))))
    shuffled = Table.from_rows((rows[at] for at in order), SCHEMA)
    assert spilled.select(order).fingerprint() == in_memory.select(order).fingerprint() == shuffled.fingerprint()
    back = np.argsort(order) if rows else []
    assert shuffled.select(back).fingerprint() == expected


@settings(max_examples=60, deadline=None)
@given(ROWS.filter(bool), st.data())
def test_fingerprint_changes_with_any_value(rows, data):
    at = data.draw(st.integers(0, len(rows) - 1))
    changed = data.draw(ROW.filter(lambda row: row != rows[at]))
    before = Table.from_rows(rows, SCHEMA).fingerprint()
    assert Table.from_rows([*rows[:at], changed, *rows[at + 1 :]], SCHEMA).fingerprint() != before
    assert Table.from_rows([*rows, changed], SCHEMA).fingerprint() != before


def test_fingerprint_is_the_same_on_every_machine_and_version():
    rows = [{"text": "a\nb", "labels": ["x", None], "value": 0.5, "count": 1}]
    rows.append({"text": None, "labels": None, "value": None, "count": -1})
    expected = "6256c5df418a2d3de2c7b07b45e01b131a8fa3c6714e945d80c198f7c12c4985"
    assert Table.from_rows(rows, SCHEMA).fingerprint() == expected


def test_fingerprint_separates_names_types_and_neighbouring_texts():
    def fingerprint(name, kind, values):
        return Table.from_rows(({name: value} for value in values), pa.schema([(name, kind)])).fingerprint()

    kinds = [("a", pa.string(), ["xy", "z"]), ("a", pa.string(), ["x", "yz"]), ("b", pa.string(), ["xy", "z"])]
    kinds += [("a", pa.large_string(), ["xy", "z"]), ("a", pa.string(), ["xy", "z", ""]), ("a", pa.bool_(), [True])]
    kinds += [("a", pa.struct([("x", pa.int8())]), [{"x": 1}]), ("a", pa.struct([("x", pa.int8())]), [{"x": 2}])]
    assert len({fingerprint(*kind) for kind in kinds}) == len(kinds)


def test_rows_are_taken_one_by_one_and_spilled(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def rows():
        for number in range(1000):
            if number == 500:
                seen.extend(spilled_folders(tmp_path))
            yield {"text": "x" * 100, "labels": [], "value": 0.0, "count": number}

    made = Table.from_rows(rows(), SCHEMA, spill_bytes=10_000)
    assert len(seen) == 1, "half-way the rows are on disk"
    assert made.numpy("count").tolist() == list(range(1000))


def test_long_rows_come_in_smaller_chunks(monkeypatch):
    monkeypatch.setattr(store, "CHUNK_BYTES", 5000)
    rows = ({"text": "x" * 1000} for _ in range(50))
    batches = list(store.record_batches(rows, pa.schema([("text", pa.string())])))
    assert sum(batch.num_rows for batch in batches) == 50
    assert max(batch.nbytes for batch in batches) <= 6000


def test_temporary_folder_goes_with_the_last_view(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Table.from_rows([{"text": "a", "labels": [], "value": 1.0, "count": 1}] * 20, SCHEMA, spill_bytes=0)
    view = made.select([3, 2])
    del made
    gc.collect()
    assert spilled_folders(tmp_path)
    assert view.column("text") == ["a", "a"]
    del view
    gc.collect()
    assert not spilled_folders(tmp_path)


def test_an_error_in_the_rows_leaves_no_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def rows():
        yield from [{"text": "a", "labels": [], "value": 1.0, "count": 1}] * 30
        assert spilled_folders(tmp_path)
        raise UserError("data.csv:31: broken")

    with pytest.raises(UserError, match="data.csv:31"):
        Table.from_rows(rows(), SCHEMA, spill_bytes=0)
    assert not spilled_folders(tmp_path)


def test_no_room_names_tmpdir(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    row = {"text": "a", "labels": [], "value": 1.0, "count": 1}
    with pytest.raises(UserError, match="missing: cannot hold the data .* set TMPDIR"):
        Table.from_rows([row], SCHEMA, spill_bytes=0)


def test_texts_too_long_for_one_array_are_split(monkeypatch):
    real = pa.array

    def array(values, kind):
        """As if 32-bit offsets ended at 100 bytes."""
        made = real(values, kind)
        big = kind == pa.string() and sum(map(len, values)) > 100 and len(values) > 1
        return pa.chunked_array([made[:1], made[1:]]) if big else made

    monkeypatch.setattr(store.pa, "array", array)
    texts = [str(number) * 60 for number in range(7)]
    made = Table.from_rows(({"text": text} for text in texts), pa.schema([("text", pa.string())]))
    monkeypatch.undo()
    assert made.column("text") == texts
    assert made.select([5, 0, 5]).column("text") == [texts[5], texts[0], texts[5]]


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int8(), pa.uint64(), pa.float32()], ids=str)
def test_numpy_keeps_the_type(kind):
    values = [bool(at % 2) if kind == pa.bool_() else at % 2 for at in range(20)]
    made = Table.from_rows(({"x": value} for value in values), pa.schema([("x", kind)]))
    numbers = made.select([1, 2, 17]).numpy("x")
    assert numbers.tolist() == [1, 0, 1]
    assert pa.from_numpy_dtype(numbers.dtype) == kind
    assert pa.from_numpy_dtype(Table.from_rows([], made.schema).numpy("x").dtype) == kind


def test_mistakes_in_use():
    made = Table.from_rows([{"text": "a", "labels": [], "value": None, "count": 1}], SCHEMA)
    with pytest.raises(IndexError, match="table of 1 rows"):
        made.select([1])
    with pytest.raises(IndexError):
        made.select([-1])
    with pytest.raises(TypeError, match="vector of integers"):
        made.select(np.array([True]))
    with pytest.raises(KeyError, match="there are: text, labels, value, count"):
        made.column("txt")
    with pytest.raises(ValueError, match="not positive"):
        made.batches(0)
    with pytest.raises(TypeError, match="not numeric"):
        made.numpy("text")
    with pytest.raises(TypeError, match="values are missing"):
        made.numpy("value")
    with pytest.raises(KeyError):
        Table.from_rows([{"text": "a"}], SCHEMA)
    assert len(Table.from_rows([], SCHEMA).select([])) == 0
