"""Unicode properties as small tables that a graph looks up: what a tokenizer does to each character.

Characters come from Python's `unicodedata`, so a table holds for the Unicode version of the Python that built
it (14.0 for 3.11, 15.0 for 3.12, 15.1 for 3.13), and is then part of the SavedModel.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

PAGE = 256
CODE_POINTS = 0x110000
# Assigned characters end here, apart from the tags of plane 14 and private use (planes 15 and 16).
_DENSE = 0x32400
_PLANE_14 = range(0xE0000, 0xE0200)
_PRIVATE = 0xF0000

# Packed character: 22 bits of (output - input + BIAS), then flags.
BIAS = 1 << 21
OFFSET_MASK = (1 << 22) - 1
FLAG_SHIFT = 22
BEFORE, AFTER, GAP = 1, 2, 4  # a word ends before it; a word ends after it; it is no part of a word

# Unicode White_Space, as Rust and Oniguruma have it; Python's str.isspace also counts U+001C to U+001F.
SPACES = frozenset(
    [*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
)
# As in the Rust tokenizers, where the last but two starts at 2B920, not at 2B820 as in BERT's own code.
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
# Letters and numbers, and no punctuation, mark, space or control character.
_PLAIN = frozenset("Lu Ll Lt Lm Lo Nd Nl No".split())

OTHER, LETTER, NUMBER, SPACE, SPECIAL = range(5)

Packed = tuple[int, ...]


def pack(source: int, outputs: str, before: bool = False, after: bool = False) -> Packed:
    """Packs what a code point becomes, as one word if `before` and `after`, each entry with its flags."""
    last = len(outputs) - 1
    return tuple(
        ((BEFORE * (before and i == 0) | AFTER * (after and i == last)) << FLAG_SHIFT) | (ord(c) - source + BIAS)
        for i, c in enumerate(outputs)
    )


def _pages(
    rows_of: Callable[[Sequence[int]], tuple], default: object, private: object
) -> tuple[np.ndarray, list[tuple]]:
    """Index of the page of each 256 code points, and the distinct pages, each a tuple of 256 rows."""
    pages: dict[tuple, int] = {}
    index = np.zeros(CODE_POINTS // PAGE, np.int32)
    for page in range(len(index)):
        first = page * PAGE
        if first < _DENSE or first in _PLANE_14:
            rows = rows_of(range(first, first + PAGE))
        else:
            rows = ((private if first >= _PRIVATE else default),) * PAGE
        index[page] = pages.setdefault(rows, len(pages))
    return index, list(pages)


def _bert_page(codes: Sequence[int], lowercase: bool, strip_accents: bool, split_cjk: bool) -> tuple[Packed, ...]:
    """The rows of one page. Most pages are of letters that stay as they are, and looking at each takes seconds."""
    options = (lowercase, strip_accents, split_cjk)
    text = "".join(map(chr, codes))
    stays = text == unicodedata.normalize("NFD", text) if strip_accents else True
    if not stays or (lowercase and text != text.lower()):
        return tuple(_bert_row(code, *options) for code in codes)
    plain = ((BIAS,), pack(0, "\0", before=True, after=True))  # within a word, and one by itself
    return tuple(
        plain[split_cjk and _is_cjk(code)] if category in _PLAIN else _bert_row(code, *options)
        for code, category in zip(codes, map(unicodedata.category, text))
    )


def _is_cjk(code: int) -> bool:
    return code >= 0x3400 and any(first <= code <= last for first, last in _CJK)


def _bert_row(code: int, lowercase: bool, strip_accents: bool, split_cjk: bool) -> Packed:
    char = chr(code)
    category = unicodedata.category(char)
    if code in SPACES and (category != "Cc" or char in "\t\n\r"):
        return ((GAP << FLAG_SHIFT) | BIAS,)
    if code in (0, 0xFFFD) or category in ("Cc", "Cf", "Co", "Cs"):
        return ()
    outputs = char
    if strip_accents:
        outputs = "".join(c for c in unicodedata.normalize("NFD", char) if unicodedata.category(c) != "Mn")
    if lowercase:
        # One character at a time, so that a final capital sigma becomes the ordinary one as in the Rust tokenizers.
        outputs = "".join(c.lower() for c in outputs)
    alone = split_cjk and _is_cjk(code)
    alone = alone or (len(outputs) == 1 and _is_punctuation(outputs))
    return pack(code, outputs, before=alone, after=alone)


def _is_punctuation(char: str) -> bool:
    return (char.isascii() and char.isprintable() and not char.isalnum() and char != " ") or (
        unicodedata.category(char)[0] == "P"
    )


@lru_cache(maxsize=8)
def bert_table(lowercase: bool, strip_accents: bool, split_cjk: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What BERT's BasicTokenizer (Devlin et al. 2018, arXiv:1810.04805) makes of every code point.

    It cleans (control characters, NUL and U+FFFD go, every white space ends a word), strips accents (NFD
    without nonspacing marks), lower-cases without folding (the German sharp s stays), and sets punctuation and
    Chinese characters apart.

    Returns:
        `page_of` (4352,) int32, the page of `code // 256`; `splits` (pages * 256 + 1,) int32 and `values` int32,
        the ragged rows `page * 256 + code % 256` of packed outputs.
    """
    private: Packed = ()
    page_of, pages = _pages(lambda codes: _bert_page(codes, lowercase, strip_accents, split_cjk), (BIAS,), private)
    rows = [row for page in pages for row in page]
    splits = np.cumsum([0] + [len(row) for row in rows], dtype=np.int32)
    return page_of, splits, np.array([value for row in rows for value in row], np.int32)


def _class(code: int) -> int:
    if code in SPACES:
        return SPACE
    return {"L": LETTER, "N": NUMBER}.get(unicodedata.category(chr(code))[0], OTHER)


@lru_cache(maxsize=1)
def class_table() -> tuple[np.ndarray, np.ndarray]:
    r"""The class of every code point in GPT-2's pattern: `\p{L}`, `\p{N}`, `\s` or other.

    Returns:
        `page_of` (4352,) int32 and `classes` (pages * 256,) int32: LETTER, NUMBER, SPACE or OTHER.
    """
    page_of, pages = _pages(lambda codes: tuple(map(_class, codes)), OTHER, OTHER)
    return page_of, np.array(pages, np.int32).reshape(-1)


@lru_cache(maxsize=1)
def mark_ranges() -> tuple[np.ndarray, np.ndarray]:
    """The nonspacing marks (category Mn) as ascending ranges: first of each, one past the last, (ranges,) int32."""
    return _ranges(lambda char: unicodedata.category(char) == "Mn")


@lru_cache(maxsize=1)
def edge_ranges() -> tuple[np.ndarray, np.ndarray]:
    """Punctuation that is no part of the word beside it, as ranges: all (category P) but that of @name, #tag, 5%."""
    return _ranges(lambda char: unicodedata.category(char)[0] == "P" and char not in "@#%&_")


def _ranges(belongs: Callable[[str], bool]) -> tuple[np.ndarray, np.ndarray]:
    codes = np.array([code for code in range(CODE_POINTS) if belongs(chr(code))], np.int32)
    opens = np.flatnonzero(np.diff(codes, prepend=-2) != 1)
    last = np.append(opens[1:], len(codes)) - 1
    return codes[opens], codes[last] + 1
