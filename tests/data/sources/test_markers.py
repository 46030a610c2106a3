"""Marked entities: what is accepted, what is refused and why, and spans turned into markers."""

import json
from pathlib import Path

import pytest

from kerasft.data.sources.markers import Markers
from kerasft.errors import BadRow

MARKERS = Markers(("e1", "e2"))
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "semeval2010_task8"
GOOD = "the <e1>mill</e1> by the <e2>river</e2>"


@pytest.mark.parametrize("text", [GOOD, "<e2>a</e2><e1>b</e1>", "<e1> a b </e1> < e1 > <e2>\n中</e2> </e3>"])
def test_marked_texts_pass_unchanged(text):
    assert MARKERS.check(text, "x:1") == text


@pytest.mark.parametrize(
    ("text", "message", "kind"),
    [
        ("no markers", "<e1> is missing", "a missing marker"),
        (GOOD.replace("</e2>", ""), "</e2> is missing", "a missing marker"),
        (GOOD + "<e1>", "<e1> occurs 2 times", "a doubled marker"),
        ("</e1>a<e1> <e2>b</e2>", "</e1> stands before <e1>", "crossed markers"),
        ("<e1>a <e2>b</e1> c</e2>", "overlap", "crossed markers"),
        ("<e1>a <e2>b</e2> c</e1>", "overlap", "crossed markers"),
        ("<e1>a</e1> <e2> </e2>", "nothing stands between <e2> and </e2>", "an empty entity"),
    ],
)
def test_bad_markers_are_named(text, message, kind):
    with pytest.raises(BadRow) as caught:
        MARKERS.check(text, "train.jsonl:7")
    assert str(caught.value).startswith("train.jsonl:7: ") and message in str(caught.value)
    assert caught.value.kind == kind


def test_spans_become_markers_in_code_points():
    text = "é😀 mill by 中文 river"
    spans = [(text.index("river"), len(text)), (text.index("mill"), text.index("mill") + 4)]
    marked = MARKERS.insert(text, [list(span) for span in spans], ["a", "b"], "x:1")
    assert marked == "é😀 <e2>mill</e2> by 中文 <e1>river</e1>"
    as_text = [f"[{start}, {end}]" for start, end in spans]
    assert MARKERS.insert(text, as_text, ["a", "b"], "x:1") == MARKERS.check(marked, "x:1")


def test_spans_that_touch_do_not_overlap():
    assert MARKERS.insert("ab", [[0, 1], [1, 2]], ["a", "b"], "x:1") == "<e1>a</e1><e2>b</e2>"


@pytest.mark.parametrize(
    ("spans", "message", "kind"),
    [
        ([[0, 3], "nothing"], "column 'b' is 'nothing'", "a span that is none"),
        ([None, [0, 3]], "column 'a' is None", "a span that is none"),
        ([[0.5, 3], [4, 6]], "column 'a' is [0.5, 3]", "a span that is none"),
        ([[0, 3], [4, 99]], "column 'b' is [4, 99]", "a span outside its text"),
        (["-1,3", [4, 6]], "'-1,3'", "a span that is none"),
        ([[-1, 3], [4, 6]], "[-1, 3]", "a span outside its text"),
        ([[3, 3], [4, 6]], "[3, 3]", "a span outside its text"),
        ([[3, 4], [4, 6]], "white space", "an empty entity"),
        ([[0, 5], [4, 6]], "overlap", "overlapping spans"),
    ],
)
def test_bad_spans_are_named(spans, message, kind):
    with pytest.raises(BadRow) as caught:
        MARKERS.insert("the mill", spans, ["a", "b"], "train.csv:2")
    assert str(caught.value).startswith("train.csv:2: ") and message in str(caught.value)
    assert caught.value.kind == kind


def test_spans_besides_markers_are_refused():
    with pytest.raises(BadRow, match="spans and the marker <e1> too"):
        MARKERS.insert(GOOD, [[0, 3], [4, 6]], ["a", "b"], "x:1")


@pytest.mark.skipif(not DATA.is_dir(), reason="the data is not here")
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_row_of_semeval_is_well_marked(split):
    texts = [json.loads(line)["text"] for line in (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(texts) == {"train": 8000, "test": 2717}[split]
    for text in texts:
        MARKERS.check(text, split)


@pytest.mark.parametrize("first", [[4, 9], [3, 9], "[4 9]", "(3, 8)", "[np.int64(4), np.int64(9)]"])
def test_spans_lose_what_nobody_sees_at_their_edges(first):
    text = "the mill by the \u200briver\u00a0"
    marked = MARKERS.insert(text, [first, [15, len(text)]], ["e1", "e2"], "f:1")
    assert marked == "the <e1>mill</e1> by the \u200b<e2>river</e2>\u00a0"


def test_a_span_is_quoted_in_part():
    with pytest.raises(BadRow) as caught:
        MARKERS.insert("a b", [list(range(10_000)), [0, 1]], ["e1", "e2"], "f:1")
    assert len(str(caught.value)) < 200
