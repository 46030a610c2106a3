"""Tables of JSON that are one object: by columns, by an index, or with the rows under a key."""

import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.sources.readers import read_stream
from kerasft.data.sources.reading import Reading
from kerasft.errors import UserError

ROWS = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}, {"text": "c", "label": "x"}]
WORDS = st.text(st.characters(exclude_categories=["Cs"]))
TABLES = st.lists(st.tuples(WORDS, st.none() | st.integers(-9, 9) | WORDS | st.lists(WORDS)), min_size=2, max_size=6)


def read(content, format="json", columns=(), **limits):
    remarks = []
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    reading = Reading(columns=frozenset(columns), remark=remarks.append, **limits)
    stream = io.BufferedReader(io.BytesIO(text.encode()))
    return [values for values, _ in read_stream(stream, "a.json", format, reading)], remarks


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "records"])
@pytest.mark.parametrize("indent", [None, 1])
def test_what_pandas_writes(orient, indent):
    text = pd.DataFrame(ROWS).to_json(orient=orient, indent=indent)
    rows, remarks = read(text)
    assert [{key: row[key] for key in ("text", "label")} for row in rows] == ROWS
    assert bool(remarks) == (orient != "records")


@pytest.mark.parametrize("orient", ["columns", "index"])
def test_an_index_of_names_is_settled_by_the_columns_of_the_config(orient):
    text = pd.DataFrame(ROWS, index=["r1", "r2", "r3"]).to_json(orient=orient)
    assert read(text, columns=["text"])[0] == ROWS


@settings(max_examples=60, deadline=None)
@given(TABLES, st.sampled_from([None, 1]))
def test_any_table_comes_back_from_every_form(pairs, indent):
    rows = [{"text": text, "extra": extra} for text, extra in pairs]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    keyed = {str(number): row for number, row in enumerate(rows)}
    by_key = {name: dict(zip(keyed, values)) for name, values in columns.items()}
    split = {"index": list(range(len(rows))), "columns": list(columns), "data": [list(row.values()) for row in rows]}
    for form in (rows, columns, by_key, keyed, split, {"version": 1.5, "meta": {"a": [1]}, "examples": rows}):
        assert read(json.dumps(form, ensure_ascii=False, indent=indent), columns=["text"])[0] == rows
    lines = "\n".join(json.dumps(row) for row in rows)
    assert read(lines)[0] == rows and read(lines, "jsonl")[0] == rows
    assert read("\n".join(json.dumps(row, indent=2) for row in rows))[0] == rows  # one behind the other


def test_guesses_are_said():
    assert "read by columns" in read({"text": ["a", "b"]})[1][0]
    assert "the rows are those under 'train'" in read({"version": 2, "train": ROWS})[1][0]
    assert read({"data": [{"title": "t", "paragraphs": []}, {"paragraphs": []}]}) == ([], [])


def test_one_row_is_a_row():
    for row in (
        {"text": "a", "label": "x"},
        {"text": "a", "spans": [{"start": 0, "end": 1, "label": "x"}]},
        {"text": "a", "labels": ["x", "y"], "meta": {"a": 1}},
        {"answers": {"text": ["a"], "answer_start": [0]}, "question": "?", "context": "a"},
    ):
        columns = [next(iter(row))]
        assert read(json.dumps(row, indent=1), columns=columns)[0] == [row]
        assert read(row, "jsonl")[0] == [row]
    assert read({"text": ["a", "b"], "label": ["x", "y"]}, "jsonl")[0] == [{"text": ["a", "b"], "label": ["x", "y"]}]


def test_columns_of_lists_and_objects():
    table = {"tokens": [["a"], ["b", "c"]], "answers": [{"text": ["a"]}, {"text": []}]}
    assert read(table)[0][1] == {"tokens": ["b", "c"], "answers": {"text": []}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"text": ["a", "b"], "label": ["x"]},
            "columns of different lengths ('text' 2, 'label' 1); write one object a",
        ),
        ({"a": {"0": 1, "1": 2}, "b": {"0": 1}}, "the columns 'a' and 'b' have other rows"),
        ({"train": ROWS, "test": ROWS}, "rows under 'train' and under 'test' too; give each its own file"),
        ({"columns": ["a", "b"], "data": [[1, 2], [3]]}, "a.json, row 2: 1 values for 2 columns"),
        ({"columns": ["a"], "data": [[1], 3]}, "a.json, row 2: a number where an object is expected"),
        ([["a", "b"]], "a.json:1: an array where an object is expected"),
        (
            '{"rows":\n[{"a": 1}]}\n{"rows": [{"a": 2}]',
            "a.json:3: text after the end of the object with rows under 'rows'",
        ),
        ('{"text": ["a", "b"', "broken JSON: the end of the file where ']' is expected"),
        ('{"text" ["a"]}', "broken JSON: '[' where ':' is expected"),
        ("{\n1: 2}", "a.json:2: broken JSON: a key that is no text"),
        ('{"a": {"b": "\\ud800"}, "c": 1}', "half of a surrogate pair"),
    ],
)
def test_mistakes(content, message):
    with pytest.raises(UserError) as error:
        read(content)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_pretty_object_as_json_lines_names_the_format():
    with pytest.raises(UserError, match="set data.format: json where the file is one object"):
        read(json.dumps(ROWS[0], indent=1), "jsonl")


DEEP = "[" * 99 + "]" * 99


@pytest.mark.parametrize("format", ["json", "jsonl"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": %s}\n{"a": 1}', "nested too deeply"),
        ('[{"a": %s}]', "nested too deeply"),
    ],
)
@pytest.mark.parametrize("depth", [101, 900, 100_000])
def test_nested_brackets(format, content, message, depth):
    with pytest.raises(UserError, match=message):
        read(content % ("[" * depth + "]" * depth), format)
    with pytest.raises(UserError, match=message):
        read(content % ('{"b":' * depth + "1" + "}" * depth), format)
    assert len(read(content % ("[[1], " * 50 + "2" + "]" * 50), format)[0]) in (1, 2)


@pytest.mark.parametrize("content", ['{"a": %s}\n{"a": 1}', '[{"a": %s}]', '{"a": [%s]}', '{"b": {"a": %s}}'])
def test_numbers_of_thousands_of_digits(content):
    with pytest.raises(UserError, match="broken JSON: a number of thousands of digits"):
        read(content % ("9" * 5000))
    assert read(content % "12345678901234567890123")[0]


@pytest.mark.parametrize("content", ['{"a": "%s"}\n{"a": 1}', '[{"a": "%s"}]', '{"a": ["%s"]}', '{"b": {"a": "%s"}}'])
@pytest.mark.parametrize("letter", ["x", "很"])
def test_a_row_that_is_too_large(content, letter):
    with pytest.raises(UserError, match="a row of more than 300,000 bytes; .*data.max_row_bytes"):
        read(content % (letter * 400_000), max_row_bytes=300_000)
    with pytest.raises(UserError, match="a row of more than 2,000 bytes"):
        read(content % (letter * 2_100), max_row_bytes=2_000)
    assert read(content % (letter * 600), max_row_bytes=2_000)[0]


@pytest.mark.parametrize(
    ("format", "content", "message"),
    [
        ("json", '[{"a": 1},\n {"a": 2},\n]', "a comma stands before ] at character 1"),
        ("jsonl", '{"a": 1,}\n', "a.jsonl:1: broken JSON: a comma stands before } at character 9"),
        ("jsonl", '{"a": 1}\n{"a": 2\n{"a": 3}\n', "a.jsonl:2: broken JSON: Expecting ',' delimiter at character 8"),
    ],
)
def test_where_a_line_is_broken(format, content, message):
    with pytest.raises(UserError) as error:
        list(read_stream(io.BufferedReader(io.BytesIO(content.encode())), f"a.{format}", format, Reading()))
    assert message in str(error.value)
