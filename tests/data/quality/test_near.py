"""Texts that are nearly the same are found as a comparison of all with all finds them."""

import itertools
import unicodedata

import numpy as np
import pytest

from kerasft.data.quality.folding import folded, folded_with_symbols, text_key
from kerasft.data.quality.near import near_pairs


def grams(text: str) -> set[str]:
    return {text[at : at + 4] for at in range(len(text) - 3)} or {text}


def brute(texts: list[str], least: float) -> dict[tuple[int, int], float]:
    sets, found = list(map(grams, texts)), {}
    for one, other in itertools.combinations(range(len(texts)), 2):
        alike = len(sets[one] & sets[other]) / len(sets[one] | sets[other])
        if alike >= least:
            found[one, other] = alike
    return found


def variants(rows: int, alphabet: str, seed: int) -> list[str]:
    """Different texts, half of them others with a few characters changed."""
    random = np.random.default_rng(seed)
    texts = ["".join(random.choice(list(alphabet), random.integers(1, 60))) for _ in range(rows // 2)]
    for text in texts[:]:
        signs = list(text)
        for at in random.integers(0, len(signs), random.integers(0, 3)):
            signs[at] = random.choice(list(alphabet))
        texts.append("".join(signs))
    return sorted(set(texts))


@pytest.mark.parametrize(("alphabet", "seed"), [("abcdefgh ", 0), ("天地玄黄宇宙洪荒日月", 1), ("😀é字a\u0301👩", 2)])
def test_pairs_are_those_of_brute_force(alphabet, seed):
    texts = variants(600, alphabet, seed)
    wanted, found = brute(texts, 0.8), near_pairs(texts, 0.8)
    pairs = dict(zip(zip(found.first.tolist(), found.second.tolist()), found.similarity.tolist()))
    assert len(wanted) > 40 and pairs.keys() <= wanted.keys()
    assert len(pairs) >= 0.95 * len(wanted)
    assert all(pairs[pair] == pytest.approx(wanted[pair]) for pair in pairs)


def test_each_pair_is_told_once_and_few_texts_are_no_trouble():
    found = near_pairs(["a long text about banks", "a long text about banks!", "b"], 0.5)
    assert (found.first.tolist(), found.second.tolist()) == ([0], [1])
    for few in ([], ["a"], ["", "a"], ["ab", "abc"]):
        assert len(near_pairs(few, 0.8).first) == 0


def test_thousands_of_one_template_are_compared_with_some_of_each_other_and_not_all():
    texts = sorted(
        f"dear customer number {i:05d}, your parcel is waiting for you at the office in town" for i in range(1200)
    )
    found = near_pairs(texts, 0.8)
    assert 1200 <= len(found.first) < 1200 * 64
    assert set(found.first.tolist()) | set(found.second.tolist()) == set(range(1200))


def test_folding_leaves_out_what_a_reader_overlooks_and_nothing_else():
    same = [("Hello,  World!", "hello world"), ("２０１８年", "2018年"), ("It's", "it s"), ("a\u00a0b", "a b")]
    for one, other in same:
        assert folded(one) == folded(other) and text_key([one]) == text_key([other])
    for one, other in [("2018", "2019"), ("do it", "do not do it"), (":)", ":("), ("😀", "😡"), ("3.5", "35")]:
        assert folded(one) != folded(other)
    assert folded("fine 😀") == folded("fine 😡") and folded_with_symbols("fine 😀") != folded_with_symbols("fine 😡")
    assert folded_with_symbols("-5 °C!") != folded_with_symbols("5 °C") == folded_with_symbols("5 °c...")
    assert folded(unicodedata.normalize("NFD", "é")) == folded("é")
    assert text_key(["a", "b"]) != text_key(["ab", ""])
