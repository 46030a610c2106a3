"""The words of a text in any script, their letters with accents, and which of them carry a meaning that must stay."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata

from kerasft.data.augmentation.marked_text import Bounds, MarkedText
from kerasft.data.sources.scripts import UNSPACED, unspaced

# Words that turn a meaning round. Of the languages that most public data sets are in.
NEGATIONS = frozenset(
    # English
    "no not never none nobody nothing nowhere neither nor cannot without hardly barely unless dont cant wont isnt "
    "arent wasnt werent doesnt didnt hasnt havent hadnt shouldnt wouldnt couldnt mustnt aint except "
    # German, French, Spanish, Portuguese, Italian, Dutch
    "nicht nie niemals kein keine keinen keiner keinem keines nichts niemand ohne weder "
    "ne pas jamais rien personne aucun aucune sans ni nunca nada nadie ningún ninguna ninguno sin não nem nenhum "
    "nenhuma sem non mai niente nessuno nessuna senza né niet nooit geen niets niemand zonder noch "
    # Russian, Polish, Turkish, Arabic, Hindi
    "не нет ни никогда ничего никто без nie nigdy nic nikt bez değil yok asla لا لم لن ليس नहीं मत ना".split()
)
NEGATION_CHARACTERS = frozenset("不没沒無无未非别別勿莫否休甭毋")  # each a word where no spaces are written
_CONTRACTED = re.compile(r"n['’ʼ]t$", re.IGNORECASE)
_APOSTROPHES = "'’ʼ"
_RUN = re.compile(r"\S+")
_ADDRESS = re.compile(r"[@#/\\_=<>{}|~^]")  # in an address, a name of a file or a user, a tag: no words of a language
NUMBER_CHARACTERS = frozenset("一二三四五六七八九十百千万萬亿億零〇两兩半")


@functools.cache
def _marks() -> str:
    """What stands in a class of a regular expression for all marks that belong to the character before them."""
    ranges: list[list[int]] = []
    for code in range(0x300, sys.maxunicode + 1 if sys.maxunicode < 0x20000 else 0x20000):
        if unicodedata.category(chr(code))[0] == "M":
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    ranges.append([0xE0100, 0xE01EF])  # selectors of variants
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Of a word and of a letter of it, each with its accents."""
    apart = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
    spaced = rf"[^\W{apart}]"  # a letter or digit of a script with spaces
    inner = rf"(?:{spaced}[{_marks()}\u200c\u200d]*)"
    alone = rf"(?=\w)[{apart}][{_marks()}]*"  # a letter of the other scripts is a word of its own
    word = re.compile(rf"{inner}+(?:[{_APOSTROPHES}\-]{inner}+)*|{alone}")
    return word, re.compile(rf"[^{_marks()}\u200c\u200d][{_marks()}\u200c\u200d]*", re.DOTALL)


def word_bounds(text: str) -> list[Bounds]:
    """Where the words of a text start and end, in code points and in order.

    A word has letters, digits and accents, and within it apostrophes and hyphens. In scripts that are written without
    spaces each character is one. Emoji and other symbols are none.
    """
    return [match.span() for match in _patterns()[0].finditer(text)]


def letters(word: str) -> list[str]:
    """The letters of a word, each with the accents that stand behind it."""
    return _patterns()[1].findall(word)


@functools.lru_cache(maxsize=1 << 16)
def is_protected(word: str, names: frozenset[str] = frozenset()) -> bool:
    """Whether a word is a negation, has a digit, or is one of some names.

    Args:
        word: as it stands.
        names: in lower case.
    """
    low = word.casefold()
    if low in NEGATIONS or low in names or _CONTRACTED.search(low):
        return True
    if len(letters(word)) == 1 and (low[0] in NEGATION_CHARACTERS or low[0] in NUMBER_CHARACTERS):
        return True
    return any(character.isdigit() or character.isnumeric() for character in word)


def free_words(text: MarkedText, names: frozenset[str] = frozenset()) -> list[Bounds]:
    """Bounds of the words that may be changed: outside all spans and addresses, and not `is_protected`."""
    addresses = [run.span() for run in _RUN.finditer(text.text) if _ADDRESS.search(run.group())]
    return [
        (start, end)
        for start, end in word_bounds(text.text)
        if not text.touches(start, end)
        and not is_protected(text.text[start:end], names)
        and (unspaced(text.text[start]) or not any(first <= start < last for first, last in addresses))
    ]
