"""The contract of an augmenter: a text and random numbers -> edits of it."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerasft.config.section import Section
from kerasft.data.augmentation.marked_text import Edit, MarkedText

if TYPE_CHECKING:  # tasks lie above: the contract is all that is known here
    from kerasft.config.schema import Config
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task
    from kerasft.tasks.base.augmentable import Augmentable


@dataclass(frozen=True)
class Protected:
    """Words that stay.

    Attributes:
        always: of `augment.protect`, in lower case, beside negations and numbers.
        labels: words of the names of labels, too, which are not to be taken away or replaced.
    """

    always: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        return self.always | self.labels


class Augmenter(abc.ABC):
    """One method. It is a pure function of a text and of the random numbers that it is given, and runs in plain Python.

    No edit crosses the border of a span, and negations, numbers and protected words stay.

    Args:
        section: of the config, the method's own.
        protected: words that stay.

    Attributes:
        name: the key of `augment`.
        within_spans: whether it may change what is in a span; otherwise each span has the same text after it.
    """

    name: ClassVar[str]
    within_spans: ClassVar[bool] = False

    def __init__(self, section: Any, protected: Protected | None = None):
        self.section, self.protected = section, protected or Protected()

    @classmethod
    def check(cls, section: Section, config: Config, task: Augmentable) -> None:
        """Raises UserError for what this task's rows can't be given, or a file that can't be read, before any row is
        read.
        """

    def learn(self, train: Table, task: Task) -> Sequence[str]:
        """Takes from train what it needs of other rows; lines for the user."""
        return ()

    @abc.abstractmethod
    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        """What is changed; [] where nothing can be.

        Args:
            text: with its spans.
            random: of this text alone.
        """


def drawn(random: np.random.Generator, places: Sequence[Any], share: float, least: int) -> list[Any]:
    """A share of some places, in order; in expectation exactly, but for `least`.

    Args:
        random: draws.
        places: to be chosen from.
        share: of them.
        least: so many at least, if there are.
    """
    exact = share * len(places)
    count = int(exact) + (random.random() < exact % 1)
    chosen = random.permutation(len(places))[: max(least, count)]
    return [places[index] for index in sorted(chosen.tolist())]
