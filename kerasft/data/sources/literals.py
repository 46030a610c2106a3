"""Lists that were written into a cell as text: in JSON, or as Python or NumPy print them. Nothing is evaluated."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

_DEEPEST = 30  # lists within lists
_STRING = r"[bBuU]?(?:'[^'\\]*(?:\\.[^'\\]*)*'" + r'|"[^"\\]*(?:\\.[^"\\]*)*")'
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])"
_TOKEN = re.compile(rf"\s*(?:({_STRING})|({_NUMBER})|([A-Za-z_][\w.]*)|(\.\.\.|[-\[\](){{}},:=]))", re.DOTALL)
_WORDS = {"None": None, "null": None, "nan": float("nan"), "NaN": float("nan"), "True": True, "true": True}
_WORDS |= {"False": False, "false": False}
# array([...]), Index([...], dtype='object'), set(): what pandas, NumPy and Python write around the items
_AROUND = r"(?:(?:np|numpy|pd)\.)?(?:array|Index|Series|list|tuple|set|frozenset)"
_OPENING = re.compile(rf"[\[({{]|{_AROUND}\(")
_CALLS = re.compile(rf"{_AROUND}|(?:np|numpy)\.\w+")  # array([...]), np.str_('a'), np.int64(3)
_QUOTE = r"[bBuU]?['\"]"
_LIKE_LIST = re.compile(
    rf"\s*(?:(?:{_AROUND}\()?(?:[\[(]\s*(?:{_QUOTE}.*)?[\])]+|{{\s*{_QUOTE}.*}}\)?)\s*$"
    rf"|(?:array\()?\[{_QUOTE}|{_AROUND}\([\[({{)])",
    re.DOTALL,
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}


class NoLiteral(ValueError):
    """A text is not the writing of a value."""


def read_literal(text: str) -> Any:
    """What a text says: `["a", "b"]` of JSON, `['a', 'b']` of Python, `['a' 'b']` and `array(['a'])` of NumPy, and
    lists, tuples and mappings of such and of numbers. Tuples are lists.

    Raises:
        NoLiteral: it is nothing of the kind, or NumPy left items out (`...`).
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _Reader(text).whole()


def read_list(text: str) -> list | None:
    """As `read_literal`, of the text of a list, an array, a tuple or a set; None where it is none of these."""
    bare = text.strip()
    twice = bare.startswith('"[') and bare.endswith(']"')  # JSON of a text that is JSON
    if not twice and not (_OPENING.match(bare) and bare.endswith(("]", ")", "}"))):
        return None
    try:
        value = read_literal(bare)
        value = read_literal(value) if twice and isinstance(value, str) else value
    except NoLiteral:
        return None
    return value if isinstance(value, list) else None


def looks_like_list(text: str) -> bool:
    """Whether a text has the brackets and quotes of a list of strings, readable or not, whole or cut at its end."""
    return _LIKE_LIST.match(text) is not None


class _Reader:
    """Steps over the tokens of a text."""

    def __init__(self, text: str):
        self._text, self._at = text, 0
        self._step()

    def whole(self) -> Any:
        value = self._value(0)
        if self._kind is not None:
            raise NoLiteral("text follows the value")
        return value

    def _step(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            if self._text[self._at :].strip():
                raise NoLiteral(f"nothing known at character {self._at + 1}")
            self._kind, self._token = None, ""
            return
        self._kind, self._token = match.lastindex, match[match.lastindex or 0]
        self._at = match.end()

    def _take(self, token: str) -> None:
        if self._token != token or self._kind != 4:
            raise NoLiteral(f"{token} expected")
        self._step()

    def _value(self, depth: int) -> Any:
        kind, token = self._kind, self._token
        if depth > _DEEPEST or kind is None or token == "...":
            raise NoLiteral("nested too deeply, cut short or at its end")
        self._step()
        if kind == 1:
            return _string(token)
        if kind == 2:
            return float(token) if set(token) & set(".eE") else _whole_number(token)
        if kind == 3 and self._token == "(" and _CALLS.fullmatch(token):
            return self._call(depth)
        if kind == 3 and token in _WORDS:
            return _WORDS[token]
        if token in _CLOSING:
            return self._mapping(depth) if token == "{" else self._items(_CLOSING[token], depth)
        raise NoLiteral(f"{token} is no value")

    def _items(self, closing: str, depth: int) -> list[Any]:
        items = []
        while self._token != closing or self._kind != 4:
            items.append(self._value(depth + 1))
            if self._token == "," and self._kind == 4:  # NumPy has none
                self._step()
        self._step()
        return items

    def _mapping(self, depth: int) -> Any:
        mapping: dict[Any, Any] = {}
        while self._token != "}" or self._kind != 4:
            key = self._value(depth + 1)
            if not isinstance(key, (str, int, float, bool)):
                raise NoLiteral("a key is no text")
            if not mapping and self._kind == 4 and self._token in ",}":
                return self._set(key, depth)
            self._take(":")
            mapping[key] = self._value(depth + 1)
            if self._token == "," and self._kind == 4:
                self._step()
        self._step()
        return mapping

    def _set(self, first: Any, depth: int) -> list[Any]:
        """The items of a set, the first of which is read, in the order in which they stand."""
        if self._token == ",":
            self._step()
        return [first, *self._items("}", depth)]

    def _call(self, depth: int) -> Any:
        """The first of the values in parentheses; the others say of which type it is."""
        self._take("(")
        if self._token == ")" and self._kind == 4:
            self._step()
            return []
        value = self._value(depth + 1)
        while self._token != ")" or self._kind != 4:
            if self._kind is None:
                raise NoLiteral("at its end")
            self._step()
        self._step()
        return value


def _string(token: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that Python does not know stand for themselves
            value = ast.literal_eval(token)  # one string literal, by the pattern above
        return value.decode("utf-8") if isinstance(value, bytes) else value
    except (ValueError, SyntaxError, UnicodeDecodeError) as error:
        raise NoLiteral("a string that can't be read") from error


def _whole_number(token: str) -> int:
    try:
        return int(token)
    except ValueError as error:  # more digits than Python converts
        raise NoLiteral("a number that can't be read") from error
