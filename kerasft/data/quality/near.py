"""Pairs of texts that are nearly the same: MinHash finds candidates, the true Jaccard similarity decides.

A text is the set of its character 4-grams, so Chinese needs no words, and a number or a negation that differs counts
by its length. MinHash: Broder 1997, "On the resemblance and containment of documents"; bands of hashes: Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

GRAM = 4  # characters
# Two texts of similarity s share a band with probability 1 - (1 - s ** ROWS) ** BANDS: 0.998 at 0.8, 0.03 at 0.3.
BANDS, ROWS = 16, 5
MOST_ALIKE = 64  # texts with the same value in a band that are compared each with each;
FEW_BEHIND = 2  # where there are more, as of a template, each is compared with its neighbours
CHUNK_GRAMS = 1 << 20
HASH_BITS = 32  # two texts of 100 grams have the same hash of two different ones once in 400,000 pairs
CHUNK_PAIRS = 1 << 15
THREADS = 2  # NumPy lets others run while it computes
SEED = 20261129  # of the hash functions: the same pairs are found in every run


class NearPairs(NamedTuple):
    """Pairs of numbers of texts, each pair once, and how alike they are.

    Attributes:
        first, second: (pairs,) int64, first < second.
        similarity: (pairs,) float64 Jaccard similarity.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray


class Grams(NamedTuple):
    """The different 4-grams of many texts.

    Attributes:
        starts: (texts + 1,) where those of a text begin in `hashes`.
        hashes: (grams,) uint32, ascending within a text.
    """

    starts: np.ndarray
    hashes: np.ndarray


def near_pairs(texts: Sequence[str], least: float) -> NearPairs:
    """Pairs of texts with a Jaccard similarity of at least `least`; about one in 500 of those near 0.8 is missed.

    Args:
        texts: folded, all different, in an order that does not depend on that of rows, such as sorted.
        least: above 0, at most 1.
    """
    grams = grams_of(texts)
    bands = _bands(grams)  # (BANDS, texts) uint64
    whole = np.zeros(bands.shape, bool)  # (BANDS, texts) whether all pairs of a text's group in a band are compared
    pairs = []
    for band in range(BANDS):
        order = np.argsort(bands[band], kind="stable")
        values = bands[band, order]
        _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
        whole[band, order] = sizes[group] <= MOST_ALIKE
        for first, second in _candidates(order, values, whole[band, order]):
            new = ~((bands[:band, first] == bands[:band, second]) & whole[:band, first]).any(0)  # not compared before
            first, second = first[new], second[new]
            for at in range(0, len(first), CHUNK_PAIRS):
                pair = first[at : at + CHUNK_PAIRS], second[at : at + CHUNK_PAIRS]
                alike = similarities(grams, *pair)
                near = alike >= least
                pairs.append((pair[0][near], pair[1][near], alike[near]))
    if not pairs:
        return NearPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    one, other, alike = (np.concatenate(parts) for parts in zip(*pairs))
    first, second = np.minimum(one, other), np.maximum(one, other)
    _, order = np.unique(first * len(texts) + second, return_index=True)  # neighbours in large groups come more often
    return NearPairs(first[order], second[order], alike[order])


def grams_of(texts: Sequence[str]) -> Grams:
    """The 4-grams of each text; a shorter text is one gram by itself."""
    sizes = [max(GRAM, len(text)) for text in texts]
    ends = np.searchsorted(np.cumsum(sizes), np.arange(CHUNK_GRAMS, sum(sizes) + CHUNK_GRAMS, CHUNK_GRAMS), "left") + 1
    borders = np.unique(np.concatenate([[0], np.minimum(ends, len(texts))])).tolist()
    counts = [np.zeros(1, np.int64)]
    hashes, filled = np.empty(sum(sizes), np.uint32), 0  # more than are needed: what is not filled takes no memory
    with ThreadPoolExecutor(THREADS) as pool:
        for count, made in pool.map(lambda bounds: _chunk(texts[slice(*bounds)]), itertools.pairwise(borders)):
            counts.append(count)
            hashes[filled : filled + len(made)] = made
            filled += len(made)
    return Grams(np.cumsum(np.concatenate(counts)), hashes[:filled])


def _chunk(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(texts,) numbers of different grams, and (grams,) their hashes, ascending within a text."""
    padded = [text.ljust(GRAM, "\0") for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    owners = np.repeat(np.arange(len(padded)), lengths - GRAM + 1)
    # place of each gram: of the i-th text's j-th, all characters before the text, and j
    positions = np.arange(len(owners)) + owners * (GRAM - 1)
    hashes = np.zeros(len(positions), np.uint64)
    for step in range(GRAM):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + points[positions + step]
    # The text in the high bits, so that one sort of plain numbers orders the grams within each.
    keys = (owners.astype(np.uint64) << np.uint64(HASH_BITS)) | (_mixed(hashes) >> np.uint64(64 - HASH_BITS))
    keys.sort()
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    keys = keys[new]
    counts = np.bincount((keys >> np.uint64(HASH_BITS)).astype(np.int64), minlength=len(padded))
    return counts, keys.astype(np.uint32)  # the low bits


def _mixed(values: np.ndarray) -> np.ndarray:
    """(n,) uint64 with every bit dependent on all bits (the end of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _bands(grams: Grams) -> np.ndarray:
    """(BANDS, texts) uint64: texts that have the same value in a band are candidates."""
    texts = len(grams.starts) - 1
    random = np.random.default_rng(SEED)
    odd = random.integers(0, 2**63, (BANDS, ROWS), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    bands = np.zeros((BANDS, texts), np.uint64)

    def fill(at: int, stop: int) -> None:
        hashes = grams.hashes[grams.starts[at] : grams.starts[stop]].astype(np.uint64)
        starts = grams.starts[at:stop] - grams.starts[at]
        for band in range(BANDS):
            for row in range(ROWS):
                least = np.minimum.reduceat(hashes * odd[band, row], starts)  # (texts of the chunk,)
                bands[band, at:stop] = bands[band, at:stop] * np.uint64(0x9E3779B97F4A7C15) + _mixed(least)

    borders = [0]
    while borders[-1] < texts:
        at = borders[-1]
        stop = int(np.searchsorted(grams.starts, grams.starts[at] + CHUNK_GRAMS, "right")) - 1
        borders.append(max(at + 1, stop))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fill, borders[:-1], borders[1:]))
    return bands


def _candidates(order: np.ndarray, values: np.ndarray, few: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of texts that have the same value in a band, a few of them at a time.

    Args:
        order: (texts,) their numbers, by value.
        values: (texts,) the band's values, ascending.
        few: (texts,) in the order of `values`, whether so few have the value that each is compared with each.
    """
    for behind in range(1, min(MOST_ALIKE, len(values))):
        same = values[behind:] == values[:-behind]
        same = np.flatnonzero(same if behind <= FEW_BEHIND else same & few[behind:])
        if not len(same) and behind > FEW_BEHIND:
            return
        yield order[same], order[same + behind]


def similarities(grams: Grams, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(pairs,) Jaccard similarity: the number of grams in both texts over that in either.

    Args:
        grams: of all texts.
        first, second: (pairs,) numbers of texts.
    """
    sizes = np.diff(grams.starts)
    less = sizes[first] <= sizes[second]
    few, many = np.where(less, first, second), np.where(less, second, first)
    owners = np.repeat(np.arange(len(few)), sizes[few])
    ends = np.cumsum(sizes[few])
    sought = grams.hashes[np.arange(len(owners)) - (ends - sizes[few] - grams.starts[few])[owners]]
    low, high = grams.starts[many][owners], grams.starts[many + 1][owners]
    last = high - 1
    while (low < high).any():  # a binary search of all at once
        middle = np.minimum((low + high) // 2, last)
        before = (grams.hashes[middle] < sought) & (low < high)
        low, high = np.where(before, middle + 1, low), np.where(before | (low >= high), high, middle)
    hits = grams.hashes[np.minimum(low, last)] == sought
    shared = np.bincount(owners, hits, len(few))
    return shared / (sizes[few] + sizes[many] - shared)
