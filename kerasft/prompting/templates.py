"""Templates of prompts: text around the texts of a row, with a place for the label. Values only; nothing is evaluated.

`{{` and `}}` are braces. What stands in braces is the name of a column, `{mask}` or `{label}`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasft.errors import UserError
from kerasft.quoting import quoted

MASK, LABEL = "mask", "label"
KEY = "prompting.template"


@dataclass(frozen=True)
class Template:
    """A template, cut at its names.

    Attributes:
        parts: in their order (words, name behind them); the last name may be None.
    """

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str, names: Sequence[str]) -> Template:
        """A template that holds each of `names` once and no others.

        Raises:
            UserError: it does not.
        """
        text = read_template(text)
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError as error:
            raise UserError(f"{KEY}: {error}; write {{{{ or }}}} for a plain brace") from error
        found = [name for _, name, _, _ in pieces if name is not None]
        allowed = ", ".join(f"{{{name}}}" for name in names)
        for _, name, form, conversion in pieces:
            if name is not None and (name not in names or form or conversion):
                raise UserError(f"{KEY}: {{{name}}} means nothing here; this method's template holds {allowed}")
        for name in names:
            if found.count(name) != 1:
                times = "is not in it" if name not in found else "is in it more than once"
                raise UserError(f"{KEY}: {{{name}}} {times}: {quoted(text)}; it holds each of {allowed} once")
        return cls(tuple((words, name) for words, name, _, _ in pieces))

    def fill(self, values: Mapping[str, str]) -> str:
        """{name: text} -> the text."""
        return "".join(words + ("" if name is None else values[name]) for words, name in self.parts)


def read_template(text: str) -> str:
    """A template as it stands, or, where it names a file, what that holds without line breaks at its end.

    Raises:
        UserError: it names a file that can't be read.
    """
    if not text.endswith(".txt") or "{" in text or "\n" in text:
        return text
    try:
        return Path(text).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{KEY}: {text}: can't be read; write the template itself, or name a file in UTF-8") from error


def label_texts(labels: Sequence[str], given: Mapping[str, str | list[str]] | None) -> list[list[str]]:
    """The texts of each label, in the order of labels: those that are given, or the name as a reader has it.

    Raises:
        UserError: a text is empty, or of two labels.
    """
    texts = []
    for label in labels:
        value = (given or {}).get(label, label.replace("_", " ").replace("-", " "))
        texts.append([value] if isinstance(value, str) else list(value))
    owners: dict[str, str] = {}
    for label, own in zip(labels, texts):
        if not own or not all(text.strip() for text in own):
            raise UserError(f"task.label_texts: {quoted(label)} has an empty text; write what tells it from others")
        for text in own:
            other = owners.setdefault(" ".join(text.split()), label)
            if other != label:
                raise UserError(
                    f"task.label_texts: {quoted(other)} and {quoted(label)} have the same text, {quoted(text)}; "
                    "write what tells them apart"
                )
    return texts
