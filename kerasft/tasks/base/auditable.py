"""Whether a row's answer may be wrong, by a model that did not learn from the row: what an audit of labels asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table


@dataclass(frozen=True)
class Units:
    """What is classified, with its given class: rows, tokens, or whether rows have one label.

    Attributes:
        rows: (units,) the row of each.
        given: (units,) its class by the data.
        probabilities: (units, classes) out of sample; each row's sum is 1.
    """

    rows: np.ndarray
    given: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Judgement:
    """What a model says of the answers of some rows.

    Attributes:
        doubt: (rows,) float64 from 0 to 1, how little it believes in the answer that the data give.
        suggested: (rows,) its own answer, as `Auditable.write_answer` writes one.
        units: what confident learning is done with, each by itself; () where answers are no classes.
        classes: the answer that each class of the one unit of a row is, where a row is one unit.
        wrong: (rows,) bool, the answers that it takes for wrong, where there are no units.
    """

    doubt: np.ndarray
    suggested: Sequence[str]
    units: tuple[Units, ...] = ()
    classes: Sequence[str] = ()
    wrong: np.ndarray | None = None


class Auditable:
    """The part of a task's contract that an audit of labels and corrections need.

    Attributes:
        audited: whether rows have answers that a model can doubt.
    """

    audited = False

    def check_audit(self) -> None:
        """Raises UserError where this config's labels can't be audited."""

    def write_answer(self, row: Mapping[str, Any]) -> str:
        """The answer of a row of `schema`, as one field of a table."""
        raise NotImplementedError(f"{type(self).__name__} has no answers to audit")

    def read_answer(self, written: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """What `write_answer` wrote -> the columns of the row that it changes. Raises BadRow with the row's place."""
        raise NotImplementedError(f"{type(self).__name__} has no answers to correct")

    def judge(self, table: Table, split: Any, logits: np.ndarray) -> Judgement:
        """What a model says of the answers of some rows.

        Args:
            table: the rows.
            split: the same, prepared.
            logits: of a model that did not learn from them.
        """
        raise NotImplementedError(f"{type(self).__name__} has no answers to audit")

    def answer_sets(self, table: Table) -> np.ndarray | None:
        """(rows, classes) 1 where a row has a class, to compare it with its neighbours; None: no classes."""
        return None
