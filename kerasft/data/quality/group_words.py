"""Words for groups of people in English and Chinese, and texts in which they are exchanged.

The lists are short and plain, and no more than a beginning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from kerasft.config.yaml_text import read_yaml
from kerasft.errors import UserError
from kerasft.quoting import cut, listed

# Aspect -> group -> words. Words at the same place in two groups of an aspect stand for each other.
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "gender": {
        "women": tuple(
            "she her hers herself woman women girl girls mother mothers daughter daughters sister sisters wife wives "
            "lady ladies mum mom aunt grandmother queen "
            "她 女人 女孩 女性 母亲 妈妈 女儿 姐姐 妻子 奶奶 女士 her".split()
        ),
        "men": tuple(
            "he his his himself man men boy boys father fathers son sons brother brothers husband husbands "
            "gentleman gentlemen dad dad uncle grandfather king "
            "他 男人 男孩 男性 父亲 爸爸 儿子 哥哥 丈夫 爷爷 先生 him".split()
        ),
    },
    "religion": {
        "christian": tuple("christian christians church bible christianity 基督徒 教堂 圣经 基督教".split()),
        "muslim": tuple("muslim muslims mosque quran islam 穆斯林 清真寺 古兰经 伊斯兰教".split()),
        "jewish": tuple("jewish jews synagogue torah judaism 犹太人 会堂 妥拉 犹太教".split()),
    },
    "origin": {
        "american": tuple("american americans america 美国人 美国".split()),
        "chinese": tuple("chinese chinese china 中国人 中国".split()),
        "african": tuple("african africans africa 非洲人 非洲".split()),
        "mexican": tuple("mexican mexicans mexico 墨西哥人 墨西哥".split()),
        "indian": tuple("indian indians india 印度人 印度".split()),
    },
    "age": {
        "young": tuple("young teenager teenagers youth 年轻 年轻人 青年".split()),
        "old": tuple("old pensioner pensioners elderly 年老 老年人 老人".split()),
    },
}
Lists = Mapping[str, Mapping[str, Sequence[str]]]


class GroupWords:
    """The words of one aspect, such as gender.

    Args:
        groups: group -> words.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]]):
        self.groups = {name: tuple(words) for name, words in groups.items()}
        self._group_of = {word.lower(): name for name, words in self.groups.items() for word in reversed(words)}
        ordered = sorted(self._group_of, key=lambda word: (-len(word), word))
        self._pattern = re.compile("|".join(map(_bounded, ordered)), re.IGNORECASE)

    def group(self, text: str) -> str:
        """The one group whose words a text has; "" where it has none, or those of several."""
        found = {self._group_of[self._known(match[0])] for match in self._pattern.finditer(text)}
        return found.pop() if len(found) == 1 else ""

    def others(self, texts: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
        """(other group, changed texts) for each other group, where a row's texts speak of one; else nothing.

        Args:
            texts: of a row, by their names.
        """
        source = self.group(" ".join(texts.values()))
        if not source:
            return []
        changed = [
            (other, {name: self.exchanged(text, other) for name, text in texts.items()})
            for other in self.groups
            if other != source
        ]
        return [(other, row) for other, row in changed if row != dict(texts)]

    def exchanged(self, text: str, group: str) -> str:
        """The text with every word of another group replaced by the one at the same place in this group.

        Where this group's list is shorter, or has no word there, the word stays. "her" becomes "his" before a word and
        "him" elsewhere: a rule of thumb, as is all of this, so some sentences become odd.
        """

        def other(match: re.Match[str]) -> str:
            word = match[0]
            known = self._known(word)
            source = self._group_of[known]
            if source == group:
                return word
            place = [each.lower() for each in self.groups[source]].index(known)
            if place >= len(self.groups[group]):
                return word
            replacement = self.groups[group][place]
            if word.lower() == "her" and not re.match(r"\s+\w", text[match.end() :]) and replacement == "his":
                replacement = "him"
            return _cased(replacement, word)

        return self._pattern.sub(other, text)

    def _known(self, found: str) -> str:
        """The word of the lists that was found: of some letters, such as İ, the small one is another than they have."""
        small = found.lower()
        if small in self._group_of:
            return small
        return next(word for word in self._group_of if re.fullmatch(re.escape(word), found, re.IGNORECASE))


def group_words(file: str | None, aspects: Sequence[str] | None, key: str) -> dict[str, GroupWords]:
    """Aspect -> its words.

    Args:
        file: a YAML file of lists; None: `WORDS`.
        aspects: those that are wanted; None: all.
        key: that the user named them by, for messages.

    Raises:
        UserError: there is no such file or aspect, or the file holds something else.
    """
    lists = WORDS if file is None else _read_lists(file, key)
    if unknown := [name for name in aspects or () if name not in lists]:
        raise UserError(f"{key}: no words of the aspect {cut(unknown[0])}; there are: {listed(lists)}")
    return {name: GroupWords(lists[name]) for name in aspects or lists}


def _read_lists(file: str, key: str) -> Lists:
    path = Path(file).expanduser()
    try:
        lists = read_yaml(path.read_text(encoding="utf-8"), file).values
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{key}: {file}: {getattr(error, 'strerror', None) or 'not UTF-8'}; name a YAML file"
        ) from error
    form = "write {ASPECT: {GROUP: [WORD, ...], OTHER: [...]}}, with two groups or more"
    if not isinstance(lists, dict) or not lists:
        raise UserError(f"{key}: {file} has no lists of words; {form}")
    for aspect, groups in lists.items():
        if not isinstance(groups, dict) or len(groups) < 2:
            raise UserError(f"{key}: {file}: {cut(str(aspect))} has no two groups; {form}")
        for group, words in groups.items():
            good = isinstance(words, list) and words and all(isinstance(word, str) and word.strip() for word in words)
            if not good:
                raise UserError(f"{key}: {file}: {cut(str(aspect))}.{cut(str(group))} is no list of words; {form}")
    return {str(aspect): {str(name): words for name, words in groups.items()} for aspect, groups in lists.items()}


def _bounded(word: str) -> str:
    if word == "他":
        return "(?<!其)他"  # 其他 is "other", and speaks of nobody
    spaced = word.isascii() or word.lower() != word.upper()  # alphabets with capitals have spaces between words
    left, right = (r"(?<!\w)", r"(?!\w)") if spaced else ("", "")
    return f"{left}{re.escape(word)}{right}"


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
