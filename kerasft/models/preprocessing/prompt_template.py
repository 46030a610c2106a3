"""How a prompt is made of a row's texts: words as they stand, with the names of columns in braces.

No language of templates: the same pieces are joined in training, in Python, and in the served graph, where nothing but
joining runs; and a config holds no code.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from kerasft.errors import UserError

if TYPE_CHECKING:  # a template must be checked without waiting for TensorFlow
    import tensorflow as tf


class PromptTemplate:
    """A template, such as `Translate: {input}` with a line break at its end; `{{` and `}}` are braces.

    Args:
        template: text with names of columns in braces.
        columns: the names that it may hold, each of which it has to hold.
        key: of the config, for complaints.

    Raises:
        UserError: it holds something else, or leaves a column out.
    """

    def __init__(self, template: str, columns: Collection[str], key: str = "task.template"):
        try:
            parsed = list(string.Formatter().parse(template))
        except ValueError as error:
            raise UserError(f"{key}: {error}; write {{{{ or }}}} for a plain brace") from error
        self.pieces: list[tuple[str, str | None]] = []  # words, and the column behind them
        for words, name, form, conversion in parsed:
            if name is not None and (name not in columns or form or conversion):
                roles = " and ".join(f"{{{column}}}" for column in columns)
                raise UserError(f"{key}: {{{name}}} is none of the columns' roles; it can hold {roles}")
            self.pieces.append((words, name))
        missing = [column for column in columns if column not in [name for _, name in self.pieces]]
        if missing:
            raise UserError(f"{key}: {{{missing[0]}}} is not in it; add it, or remove data.columns.{missing[0]}")

    def render(self, row: Mapping[str, str]) -> str:
        """{column: text} -> a prompt."""
        return "".join(words + ("" if name is None else row[name]) for words, name in self.pieces)

    def join(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """In graph: {column: (batch,) strings} -> (batch,) prompts."""
        import tensorflow as tf

        parts = [part for words, name in self.pieces for part in (words, None if name is None else columns[name])]
        return tf.strings.join([part for part in parts if part is not None])


def plain_template(columns: Collection[str], ending: str = "\n") -> str:
    """The template where a config has none: the columns' texts, a line each, and what stands behind the last."""
    return "\n".join(f"{{{column}}}" for column in columns) + ending
