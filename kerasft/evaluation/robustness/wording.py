"""Changes of words: punctuation, order, additions, negation, names and numbers."""

from __future__ import annotations

import random
import re

from kerasft.data.sources.scripts import unspaced

# Names in English and Chinese that say nothing of a label; each set holds what may stand for each other.
NAMES = (
    frozenset(
        "James Mary John Linda Robert Susan Michael Karen David Emily Ahmed Fatima Wei Priya Carlos Olga".split()
    ),
    frozenset("张伟 王芳 李娜 刘洋 陈静 杨勇 赵敏 黄磊 周杰 吴丹".split()),
    frozenset("London Paris Berlin Madrid Tokyo Cairo Lagos Lima Toronto Sydney".split()),
    frozenset("北京 上海 广州 深圳 成都 武汉 杭州 西安".split()),
)
_NEUTRAL = (("By the way, ", ""), ("", " Thanks in advance."), ("Hello, ", ""), ("", " Have a nice day."))
_NEUTRAL_CHINESE = (("你好，", ""), ("", "谢谢。"), ("顺便问一下，", ""))
_NUMBER = re.compile(r"(?<![\w.,])\d+(?![\w.,]*\w)")
_AUXILIARY = re.compile(r"\b(is|are|was|were|can|could|will|would|should|does|do|did|has|have|had)\b(?! not\b|n't)")
_PUNCTUATION = re.compile(r"(?<=\w)[.,!?;:]+(?=\s|$)|[。，！？；：、]")


def without_punctuation(text: str, draw: random.Random) -> str:
    """Full stops, commas, question marks and the like behind words are gone."""
    return _PUNCTUATION.sub("", text)


def more_punctuation(text: str, draw: random.Random) -> str:
    """The text ends with signs that it did not have."""
    return text.rstrip() + draw.choice(["!!!", "...", "??", " :-)"])


def neighbours_swapped(text: str, draw: random.Random) -> str:
    """Two words beside each other change places."""
    words = text.split(" ")
    if len(words) < 2:
        return text
    place = draw.randrange(len(words) - 1)
    words[place : place + 2] = words[place + 1], words[place]
    return " ".join(words)


def neutral_addition(text: str, draw: random.Random) -> str:
    """A polite phrase before or behind, that says nothing of any label."""
    before, after = draw.choice(_NEUTRAL_CHINESE if any(map(unspaced, text)) else _NEUTRAL)
    return before + text + after


def negated(text: str, draw: random.Random) -> str:
    """The first auxiliary verb gets a "not", or the first 是, 能, 会, 有 its negation."""
    if (match := _AUXILIARY.search(text)) is not None:
        return f"{text[: match.end()]} not{text[match.end() :]}"
    chinese = re.search("(?<![不没])[是能会有]", text)
    if chinese is None:
        return text
    negation = "没" if chinese[0] == "有" else "不"
    return text[: chinese.start()] + negation + text[chinese.start() :]


def other_names(text: str, draw: random.Random) -> str:
    """Names of people and places become others of their kind."""
    for names in NAMES:
        ordered = sorted(names)
        pattern = "|".join(map(re.escape, ordered))
        bounds = (r"\b(", r")\b") if ordered[0].isascii() else ("(", ")")
        text = re.sub(
            pattern.join(bounds), lambda match, all_=ordered: draw.choice([n for n in all_ if n != match[0]]), text
        )
    return text


def other_numbers(text: str, draw: random.Random) -> str:
    """Whole numbers become others with as many digits."""

    def other(match: re.Match[str]) -> str:
        digits = len(match[0])
        low, high = (0 if digits == 1 else 10 ** (digits - 1)), 10**digits - 1
        number = draw.randint(low, high)
        return str(number if str(number) != match[0] else low + (number - low + 1) % (high - low + 1))

    return _NUMBER.sub(other, text)


def longer(text: str, draw: random.Random) -> str:
    """The text stands there twice."""
    return f"{text} {text}" if not any(map(unspaced, text)) else text + text
