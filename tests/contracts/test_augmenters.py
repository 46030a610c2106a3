"""What every method of `augment` is held to, on texts of all scripts; one joins with a line of ASKED."""

import random as python_random
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.config.augment import AugmentConfig
from kerasft.config.schema import Config
from kerasft.data.augmentation.base import Protected
from kerasft.data.augmentation.marked_text import Edit, MarkedText, Span
from kerasft.data.augmentation.registry import AUGMENTERS
from kerasft.data.augmentation.words import is_protected, word_bounds
from kerasft.data.tables.table import Table
from kerasft.tasks.registry import create_task

# The section of each method, with a strength at which most texts change.
ASKED = {
    "typos": {"words": 0.5},
    "case": {},
    "punctuation": {},
    "delete": {"words": 0.4},
    "swap": {"words": 0.6},
    "synonyms": {"words": 1.0, "source": str(Path(__file__).parents[1] / "fixtures" / "synonyms.txt")},
    "mentions": {},
    "homophones": {"characters": 1.0},
}
WRITTEN = {"masked_lm", "back_translation", "paraphrase"}  # made by models: tests/training/test_written_texts.py
RARE = ("synonyms", "homophones")  # methods that few of the texts below have something for
CASES = 10_000  # over all methods
PROTECTED = Protected(frozenset({"mill"}), frozenset({"river"}))
# Also with accents of their own, marks that stand alone, emoji of several code points, addresses.
WORDS = """
the mill river stands there not never can't 3rd 2018 Straße ŒUVRE İstanbul ΟΔΟΣ café Zoë-Ann l’été नहीं कार्ड ภาษา
السلام שלום 我的卡 不要在商店 カード 한국어 😀 👩‍👩‍👧 🇩🇪 👍🏽 ❤️ 👩🏿‍🚀! @user http://t.co/x ... — #tag a_b 1
""".split()
WORDS += ["cafe\u0301", "nai\u0308ve", "e\u0301\u0323", "\u200b", "\u2066x\u2069", "", "\u0301"]
BETWEEN = (" ", " ", " ", "", "  ", "\n", "\u3000", "\u00a0", ", ", "-")


def text_of(random: python_random.Random) -> MarkedText:
    """A text of words of many scripts, with spans that begin and end anywhere, and with tokens."""
    text = "".join(part for _ in range(random.randint(0, 9)) for part in (random.choice(WORDS), random.choice(BETWEEN)))
    spans, at = [], 0
    while at < len(text) and random.random() < 0.6:
        start = random.randint(at, len(text) - 1)
        end = random.randint(start + 1, min(len(text), start + 9))
        spans.append(Span(start, end, random.choice(["person", "place"])))
        at = end
    tokens = tuple((match, min(len(text), match + 3)) for match in range(0, len(text), 4))
    return MarkedText(text, tuple(spans), tokens)


@pytest.fixture(params=ASKED)
def augmenter(request):
    return make(request.param)


@cache
def make(name):
    augmenter, task = AUGMENTERS[name](section_of(name), PROTECTED), create_task(CONFIG)
    row = {"where": "f:1", "word_starts": [], "word_ends": []}
    learnt = [text for text, _ in cases(100, seed=5)] + [
        MarkedText("卡 咖 不 步 商 伤 店 电 me", (Span(0, 1, "thing"),))
    ]
    rows = [{**row, "starts": [], "ends": [], "label": []} | rows_of(text) for text in learnt]
    augmenter.learn(Table.from_rows(rows, task.schema()), task)
    return augmenter


CONFIG = Config.model_validate(
    {
        "name": "n",
        "task": {"name": "token_classification"},
        "model": {"preset": "x"},
        "data": {"train": "x", "columns": {"text": "text", "spans": "spans"}},
    }
)


def rows_of(text):
    starts, ends, kinds = zip(*text.spans) if text.spans else ((), (), ())
    return {"text": text.text, "starts": list(starts), "ends": list(ends), "label": list(kinds)}


def fits(augmenter, kind: str, before: str, now: str) -> bool:
    """Whether a mention is what it should be after a method."""
    if augmenter.name == "mentions":
        return now == before or now in augmenter.lexicon[kind]
    return same_but_case(before, now) if augmenter.within_spans else before == now


def section_of(name):
    return AugmentConfig.model_validate({name: ASKED[name]}).methods()[name]


def cases(count, seed=0):
    random = python_random.Random(seed)
    for number in range(count):
        yield text_of(random), np.random.default_rng([seed, number])


def same_but_case(one: str, other: str) -> bool:
    return one.upper().casefold() == other.upper().casefold()


def test_every_method_is_held_to_it():
    assert list(AUGMENTERS) == list(AugmentConfig.METHODS)
    assert set(ASKED) == set(AUGMENTERS) - WRITTEN


def test_each_span_still_is_its_mention(augmenter):
    changed = 0
    for text, random in cases(CASES // len(ASKED)):
        after = text.edited(augmenter.edits(text, random))
        changed += after.text != text.text
        assert [span.kind for span in after.spans] == [span.kind for span in text.spans]
        for before, now in zip(text.spans, after.spans):
            assert fits(augmenter, before.kind, text.mention(before), after.mention(now))
        assert all(0 <= start < end <= len(after.text) for start, end in after.words)
    assert changed > CASES // len(ASKED) // (40 if augmenter.name in RARE else 4)


@given(st.text(max_size=40), st.lists(st.integers(0, 40), max_size=6), st.integers(0, 2**32), st.sampled_from([*ASKED]))
@settings(max_examples=150, deadline=None)
def test_any_text_and_any_spans(text, borders, seed, name):
    """What hypothesis finds hard, such as lone marks and spans that overlap."""
    inside = sorted({min(border, len(text)) for border in borders})
    spans = tuple(Span(start, end) for start, end in zip(inside, inside[2:]))  # each overlaps the next
    marked = MarkedText(text, spans)
    augmenter = make(name)
    after = marked.edited(augmenter.edits(marked, np.random.default_rng(seed)))
    for before, now in zip(marked.spans, after.spans):
        assert fits(augmenter, before.kind, marked.mention(before), after.mention(now))


def test_the_same_random_numbers_give_the_same_text(augmenter):
    texts = [text for text, _ in cases(50)]

    def each(order):
        return {i: augmenter.edits(texts[i], np.random.default_rng([7, i])) for i in order}

    assert each(range(50)) == each(reversed(range(50)))
    other = {i: augmenter.edits(texts[i], np.random.default_rng([8, i])) for i in range(50)}
    assert other != each(range(50)) or augmenter.name in RARE


def test_negations_numbers_and_protected_words_stay(augmenter):
    held = 0
    for text, random in cases(500, seed=1):
        edits = augmenter.edits(text, random)
        for start, end in word_bounds(text.text):
            word = text.text[start:end]
            takes = augmenter.name in ("delete", "synonyms")
            stays = is_protected(word, PROTECTED.always) or (takes and word == "river")
            if stays and not augmenter.within_spans:
                held += 1
                assert not any(edit.start < end and start < edit.end for edit in edits), word
                assert not any(start < edit.start < end for edit in edits), word
            elif word == "mill" and augmenter.name != "mentions":
                assert not any(edit.start < end and start < edit.end for edit in edits)
    assert augmenter.within_spans or held > 100


def test_no_accent_loses_its_letter(augmenter):
    for text, random in cases(500, seed=2):
        for edit in augmenter.edits(text, random):
            behind = text.text[edit.end : edit.end + 1]
            if not augmenter.within_spans and behind and edit.start < edit.end:
                assert unicodedata.category(behind)[0] != "M", (text, edit)


def test_a_text_without_a_word_stays(augmenter):
    for text in ("", " ", "?!", "😀 👍🏽", "不", "3 4"):
        marked = MarkedText(text)
        assert marked.edited(augmenter.edits(marked, np.random.default_rng(0))).text == text or (
            augmenter.name == "punctuation"
        )


EXAMPLE = MarkedText("The mill by the river", (Span(4, 8, "place"), Span(16, 21, "place")), ((0, 3), (4, 8), (16, 21)))


def test_edits_move_what_stands_behind_them():
    after = EXAMPLE.edited([Edit(9, 11, "beside"), Edit(0, 4, ""), Edit(4, 4, "old "), Edit(21, 21, "!")])
    assert after.text == "old mill beside the river!"
    assert [after.mention(span) for span in after.spans] == ["mill", "river"]
    assert [after.text[a:b] for a, b in after.words] == ["mill", "river"]  # the token that went is none


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(3, 5, "")], [Edit(7, 9, "x")], [Edit(0, 3, "a"), Edit(2, 4, "b")], [Edit(20, 22, "")], [Edit(-1, 0, "x")],
        [Edit(4, 8, "")], [Edit(5, 4, "")],
    ],
)  # fmt: skip
def test_an_edit_that_breaks_a_span_or_another_is_an_error(edits):
    with pytest.raises(ValueError):
        EXAMPLE.edited(edits)
