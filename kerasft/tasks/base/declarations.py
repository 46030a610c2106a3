"""What a task says of itself and of its data in a form that others read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from kerasft.models.preprocessing.chat_template import ChatTemplate


@dataclass(frozen=True)
class Column:
    """A role that a task reads from the data, and whether it can do without."""

    role: str
    required: bool = True


class Number(NamedTuple):
    """A number that a request may send beside its texts.

    Attributes:
        dtype: such as int32.
        values: the usual one first; an export is checked with all of them.
    """

    dtype: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Unreachable:
    """True answers of a split that the model can't give, however well it learns.

    Attributes:
        count: how many they are.
        of: how many true answers there are.
        what: they are, in words that follow the numbers.
        fix: a sentence.
        row: number of the first row with one; None where it is not known.
    """

    count: int
    of: int
    what: str
    fix: str
    row: int | None = None


@dataclass(frozen=True)
class Explained:
    """A number behind an answer that can be explained: a weighted sum of logits of one row of the model's inputs.

    Attributes:
        label: the answer, JSON-able.
        row: of the model's inputs; of a long text, which window.
        index: (k, rank - 1) which logits.
        weights: (k,) of each.
        facts: what else is told of it, JSON-able, such as where the entity stands.
    """

    label: Any
    row: int
    index: np.ndarray
    weights: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dialogue:
    """How a dialogue is held with a model that answers in turns.

    Attributes:
        template: turns -> the text that is the model's input.
        user: the role of whoever asks.
        room: tokens that a prompt may have, so that an answer of the usual length follows.
        beams: of the search for an answer; with more than one it is only known at its end.
    """

    template: ChatTemplate
    user: str
    room: int
    beams: int
