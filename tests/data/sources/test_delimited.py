"""CSV and TSV: separators, quotes that belong to texts, and headers as programs write them."""

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerasft.data.sources.quotes import holds_rows
from kerasft.data.sources.readers import read_stream
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError


@pytest.fixture
def file(tmp_path):
    def write(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def read(path, **reading):
    remarks = []
    records = read_records(path, "auto", Reading(remark=remarks.append, **reading))
    return [record.values for record in records], remarks


UNQUOTED = '{0}"It begins{1}pos\nand goes on{1}neg\nto here"{1}neg\nplain{1}pos\n'


@pytest.mark.parametrize(("ending", "between"), [("csv", ","), ("tsv", "\t"), ("csv", ";"), ("tab", "\t")])
def test_a_quote_that_swallows_rows_is_refused_and_can_be_switched_off(file, ending, between):
    path = file(f"text{between}label\n" + UNQUOTED.format("", between) + UNQUOTED.format("", between), f"a.{ending}")
    with pytest.raises(UserError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}:2: a quote opens in this row and closes 2 lines later")
    assert "(and 1 more such quotes)" in str(error.value) and "data.quoting: none" in str(error.value)
    rows, _ = read(path, quoting="none")
    assert len(rows) == 8
    assert rows[0] == {"text": '"It begins', "label": "pos"} and rows[2] == {"text": 'to here"', "label": "neg"}
    merged, _ = read(path, quoting="minimal")
    assert len(merged) == 4


@pytest.mark.parametrize(
    "content",
    [
        'id\ttext\tlabel\n1\t"opens\tpos\n2\tcloses"\tneg\n',
        'text\tlabel\n"opens\tpos\n\nnot\ta\trow\ncloses"\tneg\n',
        'text\tlabel\n"opens\tpos\r\ncloses"\tneg\r\n',
    ],
)
def test_other_rows_that_a_quote_of_a_tsv_takes_in(file, content):
    with pytest.raises(UserError, match="a quote opens in this row"):
        read(file(content, "a.tsv"))


@pytest.mark.parametrize(
    "text", ["Roses are red, dear,\nviolets are blue", "one\n\ntwo", "Dear Sir,\nI write, again\nYours", "a\nb\nc"]
)
@pytest.mark.parametrize("first", [True, False])
def test_prose_of_several_lines_in_quotes_is_a_text(file, text, first):
    out = io.StringIO()
    csv.writer(out).writerows([["a", "b"], [text, "pos"] if first else ["pos", text]])
    (row,), _ = read(file(out.getvalue()))
    assert text in row.values()


def test_a_quote_that_never_closes_says_what_it_takes_in(file):
    with pytest.raises(
        UserError, match=r":2: a quote .* is never closed and takes in the 3 lines .*data\.quoting: none"
    ):
        read(file('text,label\n"a,x\nb,y\nc,z\nd,x\n'))
    with pytest.raises(UserError, match=r":2: a row of more than 100 bytes \(is a quote opened here"):
        read(file('text,label\n"a,x\n' + "b,y\n" * 100), max_row_bytes=100)


def test_a_quote_that_takes_in_a_separator_names_the_key(file):
    with pytest.raises(UserError, match="1 fields where the header has 2 .*data.quoting: none"):
        read(file('text\tlabel\n"all of this\tpos"\n', "a.tsv"))
    with pytest.raises(UserError, match="text follows a closing quote; .*data.quoting: none"):
        read(file('text\tlabel\n"well", he said\tpos\n', "a.tsv"))


def test_quoted_texts_of_one_column_are_counted(file):
    rows, remarks = read(file('text\n"one\ntwo"\nthree\n"four\nfive"\n'))
    assert len(rows) == 3
    assert "2 quoted texts go over several lines, the first from line 2" in remarks[0]


@pytest.mark.parametrize(("between", "name"), [(";", "semicolons"), ("|", "vertical bars"), ("\t", "tabs")])
def test_the_separator_is_told_by_the_header_and_said(file, between, name):
    path = file(f'text{between}label\n"a, b"{between}x\n')
    rows, remarks = read(path)
    assert rows == [{"text": "a, b", "label": "x"}]
    assert remarks == [f"{path}: {name} separate the fields, by its header (data.delimiter names another)"]
    assert read(path, delimiter=between) == (rows, [])


def test_a_separator_of_ones_own(file):
    assert read(file("a~b\n1,2~3\n"), delimiter="~") == ([{"a": "1,2", "b": "3"}], [])
    assert read(file("text,a\nb\n"), delimiter=";") == ([{"text,a": "b"}], [])
    assert read(file("sep=;\ntext;label\na,b;x\n")) == ([{"text": "a,b", "label": "x"}], [])
    assert read(file("text\na;b\n")) == ([{"text": "a;b"}], [])
    assert read(file("text,label\na\tb,x\n", "a.tsv"))[0] == [{"text": "a\tb", "label": "x"}]


def test_the_index_that_pandas_writes(file):
    for header in (",text,label\n", '"","text","label"\n'):
        rows, _ = read(file(f"{header}0,a,x\n1,b,y\n"))
        assert [row["text"] for row in rows] == ["a", "b"] and rows[1]["Unnamed: 0"] == "1"
    with pytest.raises(UserError, match="column 2 of the header has no name"):
        read(file("text,,label\na,b,c\n"))


def read_text(rows, quoting):
    """The rows of an unquoted TSV."""
    text = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)
    stream = io.BufferedReader(io.BytesIO(text.encode()))
    return [values for values, _ in read_stream(stream, "a.tsv", "tsv", Reading(quoting=quoting))]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.text(st.sampled_from('ab ",;\t'), max_size=8), st.sampled_from(["x", "y"])), min_size=1))
@example([('"', "x"), ('"', "y")])
def test_without_quoting_a_line_is_a_row(rows):
    rows = [(text.replace("\t", " "), label) for text, label in rows]
    found = read_text(rows, "none")
    assert [(row["text"], row["label"]) for row in found] == rows


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.text(st.sampled_from('ab "'), max_size=6), st.sampled_from(["x", "y"])), min_size=1))
def test_of_an_unquoted_tsv_no_row_is_lost_without_a_word(rows):
    try:
        found = read_text(rows, "auto")
    except UserError as error:
        assert "data.quoting: none" in str(error)
    else:
        assert len(found) == len(rows)


@given(
    st.lists(st.text(st.sampled_from("ab,"), max_size=9), min_size=2, max_size=5), st.integers(0, 2), st.integers(0, 2)
)
def test_a_text_of_several_lines_without_separators_is_no_rows(lines, before, after):
    lines = [line.replace(",", "") or "a" for line in lines]
    lines[0], lines[-1] = "x," * before + f'"{lines[0]}', f'{lines[-1]}"' + ",y" * after
    width = before + after + 1
    assert not holds_rows([f"{line}\n" for line in lines], width, ",")


def test_an_index_that_was_written_twice(file):
    rows, _ = read(file(",Unnamed: 0,text\n0,7,a\n"))
    assert rows == [{"Unnamed: 0.1": "0", "Unnamed: 0": "7", "text": "a"}]


@pytest.mark.parametrize("reading", [{}, {"quoting": "none"}])
def test_the_header_of_a_file_that_was_joined_to_another_is_no_row(file, reading):
    with pytest.raises(UserError, match="a.csv:3: the header is here again"):
        read(file("text,label\na,pos\ntext,label\nb,neg\n"), **reading)


def test_spaces_before_a_quote_are_named(file):
    with pytest.raises(UserError, match="a.csv:2: 4 fields .*remove the spaces there"):
        read(file('id, text, label\n1, "a, b", pos\n'))


@pytest.mark.parametrize("between", [",", ";"])
def test_empty_columns_at_the_end_are_left_out(file, between):
    text = "text,label,,\na,pos,,\nb,neg,,\nc,neg\n".replace(",", between)
    rows, _ = read(file(text))
    assert [list(row.values()) for row in rows] == [["a", "pos"], ["b", "neg"], ["c", "neg"]]
    with pytest.raises(UserError, match="a.csv:1: column 3 of the header has no name, but line 2 has a value"):
        read(file(text.replace("a,pos,,".replace(",", between), "a,pos,x,".replace(",", between))))


def test_numbers_of_rows_that_the_header_has_no_name_for(file):
    with pytest.raises(UserError, match="as R writes it, name that column in the header"):
        read(file('"text","label"\n"1","a","pos"\n'))
