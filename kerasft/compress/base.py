"""The contract of a method that changes a trained model without training it."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kerasft.config.compress import CompressConfig

if TYPE_CHECKING:  # what a user can get wrong is found before TensorFlow loads
    import numpy as np

    from kerasft.assembly import Assembled
    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.tables.table import Table
    from kerasft.runs import Run

SectionT = TypeVar("SectionT", bound=CompressConfig)


@dataclass(frozen=True)
class Source:
    """The run that is made smaller.

    Attributes:
        run: on disk.
        assembled: its model, loaded.
        tables: its splits.
        prepared: its training split as the model reads it.
        line: tells the user something.
    """

    run: Run
    assembled: Assembled
    tables: Mapping[str, Table]
    prepared: Prepared
    line: Callable[[str], None]


@dataclass(frozen=True)
class Smaller:
    """What a method made.

    Attributes:
        backbone: new, or the run's own.
        tokenizer: new, or the run's own.
        head: values of the head by path, where they are not those of the run.
        facts: what `metrics.json` says of it beside the figures that every method has.
        state: what of the task's state is other than that of the run, such as ids of its own tokens.
    """

    backbone: Any
    tokenizer: Any
    head: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


class Method(abc.ABC, Generic[SectionT]):
    """One way to make a trained model smaller.

    Args:
        settings: its section of the command line.
    """

    def __init__(self, settings: SectionT):
        self.settings = settings

    def check(self, run: Run) -> None:
        """Raises UserError for a run that it can't do anything with, before TensorFlow loads."""

    @abc.abstractmethod
    def apply(self, source: Source) -> Smaller:
        """The smaller model; called in the strategy's scope. The run's own model is left as it is.

        Raises:
            UserError: there is nothing to remove, or KerasHub could not hold what is left.
        """

    def finish(self, folder: Path) -> None:
        """What is done to the saved model's folder, such as another form of its weights."""
