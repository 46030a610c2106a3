"""Words and their places, and which token belongs to which."""

import random

import numpy as np
import pytest

from kerasft.attribution.words import NO_WORD, Word, split_words, words_of, words_of_tokens
from kerasft.data.sources.edges import blank


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I can't, really!", ["I", "can't", ",", "really", "!"]),
        ("it\u2019s 3.14 or 1,000.", ["it\u2019s", "3.14", "or", "1,000", "."]),
        ("我们在北京 学习。", ["我", "们", "在", "北", "京", "学", "习", "。"]),
        ("nai\u0308ve café", ["nai\u0308ve", "café"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("👨\u200d👩\u200d👧👍🏽🇩🇪🇫🇷 ok", ["👨\u200d👩\u200d👧", "👍🏽", "🇩🇪", "🇫🇷", "ok"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("x_1-b 'quoted'", ["x_1", "-", "b", "'", "quoted", "'"]),
        (" \t\u200b", []),
    ],
)
def test_words_are_what_a_reader_takes_for_words(text, words):
    assert [text[start:end] for start, end in split_words(text)] == words


def test_of_10_000_texts_every_visible_character_is_in_one_word():
    draw = random.Random(0)
    ranges = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x4E00, 0x4E40), (0x600, 0x6FF), (0x900, 0x97F)]
    ranges += [(0x1F1E6, 0x1F200), (0x1F3F0, 0x1F480), (0x2000, 0x2070), (0, 0xD7FF), (0x10000, 0x10FFFF)]
    for _ in range(10_000):
        spans = [draw.choice(ranges) for _ in range(draw.randrange(12))]
        text = "".join(chr(draw.randint(*span)) for span in spans)
        words = split_words(text)
        assert all(0 <= start < end <= len(text) for start, end in words)
        assert all(one[1] <= other[0] for one, other in zip(words, words[1:]))
        inside = {place for start, end in words for place in range(start, end)}
        assert all(place in inside for place, character in enumerate(text) if not blank(character))


def test_a_token_belongs_to_the_word_that_has_most_of_it():
    words = words_of(["can not", "ok"])
    assert words == [Word(0, 0, 3), Word(0, 4, 7), Word(1, 0, 2)]
    offsets = np.array([[-1, -1], [0, 2], [2, 7], [3, 4], [0, 2], [-1, -1]])
    columns = np.array([-1, 0, 0, 0, 1, -1])
    assert words_of_tokens(words, offsets, columns).tolist() == [NO_WORD, 0, 1, NO_WORD, 2, NO_WORD]
