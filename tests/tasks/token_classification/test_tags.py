"""Tags in every scheme -> spans, beside seqeval, and what a scheme does not allow."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from kerasft.tasks.token_classification.tags import IllFormed, iob2_tags, spans_of_tags, tag_warnings

SEQEVAL = {"iob1": IOB1, "iob2": IOB2, "bioes": IOBES, "bilou": BILOU}


def written(spans, length, scheme):
    """Spans (first, end, type) -> tags of a scheme, by its definition."""
    tags = ["O"] * length
    for number, (first, end, kind) in enumerate(spans):
        touches = number > 0 and spans[number - 1][1:] == (first, kind)
        letters = {
            "iob1": ("B" if touches else "I") + "I" * (end - first - 1),
            "iob2": "B" + "I" * (end - first - 1),
            "bioes": "S" if end - first == 1 else "B" + "I" * (end - first - 2) + "E",
            "bilou": "U" if end - first == 1 else "B" + "I" * (end - first - 2) + "L",
        }[scheme]
        tags[first:end] = [f"{letter}-{kind}" for letter in letters]
    return tags


@st.composite
def spans_of_a_text(draw):
    spans, at = [], 0
    for gap, length, kind in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("XY")))):
        spans.append((at + gap, at + gap + length, kind))
        at += gap + length
    return spans, at + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", sorted(SEQEVAL))
@settings(deadline=None)
@given(made=spans_of_a_text())
def test_every_scheme_gives_its_spans_back(scheme, made):
    spans, length = made
    tags = written(spans, length, scheme)
    assert spans_of_tags(tags, scheme) == spans_of_tags(tags) == spans
    (theirs,) = Entities([tags], SEQEVAL[scheme]).entities
    assert [(entity.start, entity.end, entity.tag) for entity in theirs] == spans


@settings(deadline=None)
@given(tags=st.lists(st.sampled_from([letter + kind for letter in ("B-", "I-") for kind in "XY"] + ["O"])))
def test_lenient_reading_is_conllevals(tags):
    assert spans_of_tags(tags) == [(first, last + 1, kind) for kind, first, last in get_entities(tags)]


def test_plain_tags_are_a_span_each():
    assert spans_of_tags(["DET", "NOUN", "NOUN"]) == [(0, 1, "DET"), (1, 2, "NOUN"), (2, 3, "NOUN")]
    assert spans_of_tags(["B-X", "O"], "plain") == [(0, 1, "B-X")]


@pytest.mark.parametrize(
    ("scheme", "tags", "message"),
    [
        ("iob2", ["O", "I-X"], "'I-X' after 'O' continues no span"),
        ("iob2", ["B-X", "I-Y"], "'I-Y' after 'B-X' continues no span"),
        ("iob2", ["E-X"], "none of O, B-TYPE, I-TYPE"),
        ("iob2", ["NOUN"], "'NOUN' is none of"),
        ("iob1", ["O", "B-X"], "in iob1 B- only parts"),
        ("bioes", ["B-X", "O"], "the span before is not closed"),
        ("bioes", ["B-X"], "leaves a span open"),
        ("bioes", ["E-X"], "'E-X' at the start continues no span"),
        ("bilou", ["B-X", "U-X"], "is not closed"),
    ],
)
def test_a_named_scheme_is_held_to(scheme, tags, message):
    with pytest.raises(IllFormed, match=message):
        spans_of_tags(tags, scheme)


def test_tags_of_types():
    assert iob2_tags(["a", "b"]) == ["O", "B-a", "I-a", "B-b", "I-b"]


@pytest.mark.parametrize("tag", ["B_PER", "PER-B", "b-per", "B:PER", "'B-PER'", "B\u2013PER", "\uff22-PER", "B/PER"])
def test_a_tag_of_another_form_is_told_also_where_all_are_such(tag):
    (warning,) = tag_warnings({tag: 3, "O": 5, "NOUN": 1}, "auto")
    assert warning.startswith("tags without a prefix") and "(3 times)" in warning and "NOUN" not in warning


def test_parts_of_speech_and_scheme_plain_are_told_nothing():
    assert tag_warnings({"NN-B": 3, "B_X": 1, "VB": 2}, "auto") == []
    assert tag_warnings({"B_PER": 3, "O": 1}, "plain") == []
