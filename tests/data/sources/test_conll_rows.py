"""CoNLL files: columns by spaces or tabs, comments, documents, and every place named."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.sources.readers import read_stream
from kerasft.data.sources.reading import Reading
from kerasft.errors import UserError


def read(text, **reading):
    stream = io.BufferedReader(io.BytesIO(text.encode()))
    return list(read_stream(stream, "a.conll", "conll", Reading(**reading)))


def test_four_columns_with_documents():
    rows = read(
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n-DOCSTART- -X- -X- O\n"
        "Ann NNP B-NP B-PER\n-DOCSTART- -X- -X- O\n \t\nBob NNP B-NP B-PER"
    )
    assert [where for _, where in rows] == ["a.conll:3", "a.conll:7", "a.conll:10"]
    first = rows[0][0]
    assert first["tokens"] == first["1"] == ["EU", "rejects"]
    assert first["tags"] == first["4"] == ["B-ORG", "O"]
    assert first["2"] == ["NNP", "VBZ"]


def test_tabs_keep_spaces_and_no_break_spaces_stand_in_a_token():
    (tabs, _), (spaces, _) = read("New York\tB-LOC\n\n")[0], read("10\u00a0000 B-NUM\n")[0]
    assert tabs["tokens"] == ["New York"]
    assert spaces["tokens"] == ["10\u00a0000"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("# id 3 domain=en\na O\n", ["a"]),
        ("# a comment\n# another one\na _ _ O\n# _ _ O\n", ["a", "#"]),
        ("#tag\tB-TAG\na\tO\n", ["#tag", "a"]),
        ("a O\n\n# O\nb O\n", ["a"]),
        ("# O\nb O\n", ["#", "b"]),
        ("#\na O\n", ["a"]),
    ],
)
def test_comments_and_tokens_that_begin_with_a_hash(text, tokens):
    assert read(text)[0][0]["tokens"] == tokens


def test_universal_dependencies():
    words = ["# text = vámonos", "1-2 vámonos _ _", "1 vamos ir VERB", "2 nos yo PRON", "2.1 _ _ _"]
    lines = [word if word[0] == "#" else "\t".join(word.split(" ") + ["_"] * 6) for word in words]
    rows = read("\n".join(lines))
    assert rows[0][0]["tokens"] == ["vamos", "nos"] and rows[0][0]["tags"] == ["VERB", "PRON"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\nb\n", "a.conll:2: 1 columns where the lines before have 2: 'b'; each line is a token"),
        ("a\tO\n\tO\n", "a.conll:2: 2 columns where the lines before have 2: '\\\\tO'"),
        ("a O\n" * 100, "a.conll:1: a row of more than 99 bytes"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(UserError, match=message):
        read(text, max_row_bytes=99)


TOKEN = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" \t#"), min_size=1).filter(
    lambda token: token != "-DOCSTART-"
)
SENTENCES = st.lists(st.lists(st.tuples(TOKEN, st.sampled_from(["O", "B-X", "I-X"])), min_size=1), min_size=1)


@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.sampled_from([" ", "\t", "  "]), st.sampled_from(["\n", "\r\n"]))
def test_any_sentences_come_back(sentences, between, end):
    text = (end * 2).join(end.join(f"{token}{between}_{between}{tag}" for token, tag in each) for each in sentences)
    if text.startswith("\ufeff"):
        text = "\ufeff" + text
    assert [list(zip(row["tokens"], row["tags"])) for row, _ in read(text)] == sentences


@pytest.mark.parametrize("line", ["\u00a0", "\u200b", "\ufeff \t", "\u3000"])
def test_a_line_of_nothing_that_is_seen_ends_a_sentence(line):
    assert [row["tokens"] for row, _ in read(f"a O\n{line}\nb O\n")] == [["a"], ["b"]]


@pytest.mark.parametrize("end", ["\t", " ", "\t \t"])
def test_blanks_behind_the_last_column_are_none(end):
    assert read(f"a\tO{end}\nb\tB-X\n")[0][0]["tags"] == ["O", "B-X"]


def test_conll_u_may_begin_with_a_word_that_is_left_out():
    lines = ["0.1\tx", "1\tHe", "2\tran"]
    ((row, _),) = read("".join(line + "\t_\tX" + "\t_" * 6 + "\n" for line in lines))
    assert (row["tokens"], row["tags"]) == (["He", "ran"], ["X", "X"])
