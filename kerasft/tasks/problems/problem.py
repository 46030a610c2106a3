"""What text classification relies on of each kind of label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Explained
    from kerasft.tasks.base.auditable import Judgement


class LabelSection(Protocol):
    """A task's section of the config, where its answers have labels."""

    @property
    def labels(self) -> list[str] | None:
        """That the config names; None: those of the training data."""

    @property
    def top(self) -> int | None:
        """Of how many labels an answer has the probability."""


class Problem(Protocol):
    """One label a text, several, or a number; `state` is the task's own."""

    @property
    def headline(self) -> str:
        """The metric that chooses the best checkpoint."""
        ...

    @property
    def rising(self) -> tuple[str, ...]:
        """Metrics where more is better."""
        ...

    @property
    def falling(self) -> tuple[str, ...]:
        """And where less is."""
        ...

    @property
    def one_of_many(self) -> bool:
        """Whether logits are scores of classes of which one is true."""
        ...

    @property
    def arrow(self) -> pa.DataType:
        """Of a parsed label."""
        ...

    @property
    def nothing(self) -> Any:
        """A parsed label for a row without one, whose target is not learnt."""
        ...

    def parse(self, value: Any, where: str) -> Any:
        """A value of the label's column -> the label. Raises BadRow."""

    def fit(self, splits: Mapping[str, Table]) -> None:
        """Learns `state`. Raises UserError."""

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        """Raises UserError where a split has a label that is not known."""

    def data_warnings(self) -> list[str]:
        """What is odd about the names of labels."""
        ...

    def groups(self, table: Table) -> np.ndarray | None:
        """(rows,) group of each row for the stratified validation share."""

    def targets(self, table: Table) -> np.ndarray:
        """(rows, ...) what the loss compares logits with."""
        ...

    def weights(self, targets: np.ndarray) -> np.ndarray:
        """(rows,) float32 weight of each training row in the loss."""
        ...

    def outputs(self) -> int:
        """Logits of a text."""
        ...

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """(batch, ...), (batch, outputs) -> (batch,)."""
        ...

    def divergence(self, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """(batch, outputs) twice -> (batch,) how far two outputs for the same texts differ."""
        ...

    def joined_logits(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        """(batch, outputs) of each member of an ensemble -> (batch, outputs)."""
        ...

    def disagreement(self, members: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
        """(batch, outputs) of each member of an ensemble -> (batch,) how much they differ."""
        ...

    def logits_of(self, answers: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """What a server answered -> (rows, outputs); see `Task.logits_of`."""
        ...

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """(batch, outputs) -> answers, the batch first."""
        ...

    def explained(self, logits: np.ndarray, label: str | None, contrast: str | None) -> list[list[Explained]]:
        """(batch, outputs) -> the numbers behind the answers to each text; see `Task.explained`."""
        ...

    def tune(self, targets: np.ndarray, logits: np.ndarray) -> None:
        """Chooses thresholds on the validation split."""

    def metrics(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        """Of a whole split."""
        ...

    def interval(self, targets: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
        """Of the headline figure."""
        ...

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """What `decode` gave -> a JSON-able answer of each text."""
        ...

    def truth(self, target: np.ndarray) -> Any:
        """One row of `targets`, JSON-able."""

    def class_counts(self, targets: np.ndarray) -> dict[str, int]:
        """Rows of each class, where there are classes."""
        ...

    def mistake(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """A row of predictions/ -> {prediction, score} where it is wrong."""

    def write(self, label: Any) -> str:
        """A label as one field of a table, which `parse` reads."""
        ...

    def judge(self, targets: np.ndarray, logits: np.ndarray) -> Judgement:
        """What a model that did not learn from some texts says of their labels."""
        ...

    def answer_sets(self, targets: np.ndarray) -> np.ndarray | None:
        """(rows, classes) 1 where a row has a class; None: there are no classes."""
