"""What is shown while tokens come: the same text as at once, whole characters, nothing of a stop text."""

from hypothesis import given
from hypothesis import strategies as st

from kerasft.models.generation.streamed_text import streamed_text


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    parts, start = [], 0
    for size in sizes:
        parts.append(data[start : start + size])
        start += size
    return [*parts, data[start:]]


@given(st.text(alphabet="aé中😀 "), st.lists(st.integers(0, 3)))
def test_pieces_are_whole_characters_of_the_text(text, sizes):
    pieces = list(streamed_text(cut(text.encode(), sizes)))
    assert "".join(pieces) == text and "" not in pieces


@given(st.binary(max_size=12), st.lists(st.integers(0, 3)))
def test_what_is_no_text_becomes_replacement_characters(data, sizes):
    assert "".join(streamed_text(cut(data, sizes))) == data.decode("utf-8", "replace")


@given(st.text(alphabet="ab|"), st.lists(st.integers(1, 2)), st.lists(st.text(alphabet="ab|", min_size=1), max_size=2))
def test_nothing_of_a_stop_text_is_shown(text, sizes, stops):
    wanted = text[: min([text.find(stop) for stop in stops if stop in text], default=len(text))]
    assert "".join(streamed_text(cut(text.encode(), sizes), stops)) in {wanted, *earlier(text, sizes, stops)}


def earlier(text, sizes, stops):
    """Where one token completes a stop text, a longer one that begins before it never comes."""
    shown = b""
    for token in cut(text.encode(), sizes):
        shown += token
        places = [place for stop in stops if (place := shown.decode().find(stop)) >= 0]
        if places:
            return {shown.decode()[: min(places)]}
    return set()


def test_a_piece_is_shown_at_once_unless_a_stop_text_may_follow():
    tokens = iter([b"a", b"\xf0\x9f", b"\x98\x80b", b"<e", b"x<", b"end>", b"never read"])
    stream = streamed_text(tokens, ["<end>"])
    assert [next(stream) for _ in range(3)] == ["a", "😀b", "<ex"]
    assert list(stream) == [] and list(tokens) == [b"never read"]
