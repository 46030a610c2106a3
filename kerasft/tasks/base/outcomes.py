"""What a task makes of logits and answers: figures, thresholds, rows of predictions, and what the report shows."""

from __future__ import annotations

import abc
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

SplitT = TypeVar("SplitT")


class TaskOutcomes(abc.ABC, Generic[SplitT]):
    """The part of a task's contract that evaluation and the report read."""

    def tune(self, split: SplitT, logits: np.ndarray) -> None:
        """Chooses decision thresholds on the validation split and keeps them in `state`."""

    @abc.abstractmethod
    def metrics(self, split: SplitT, logits: np.ndarray) -> dict[str, Any]:
        """A whole split and its logits -> JSON-able metrics, `headline` among them."""

    @abc.abstractmethod
    def interval(self, split: SplitT, logits: np.ndarray) -> dict[str, Any]:
        """The headline figure's confidence interval: {metric, low, high, level, ...}."""

    def watched(self, split: SplitT, logits: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """Answers to a split by the names of the served model's outputs, those whose distribution a server watches.

        None where answers are vectors or free text: of these tasks only the texts are watched.
        """
        yield from ()

    def answer_metrics(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Rows of `predictions` -> JSON-able metrics of answers that took long to make, of a finished model alone."""
        return {}

    @abc.abstractmethod
    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """What `decode` gave, as NumPy arrays -> one JSON-able answer a row, for `predict` and predictions/."""

    @abc.abstractmethod
    def truth(self, target: np.ndarray) -> Any:
        """One row of `targets` -> what stands beside its answer in predictions/."""

    def verdict(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[Hashable, float]:
        """An answer in a form in which equal ones are equal, and how right it is, 0 to 1; where the task `judges`.

        Args:
            answer: one of `rows`.
            row: of `schema`, with the truth.
        """
        raise NotImplementedError(f"{type(self).__name__} does not judge single answers")

    # The report.
    def class_counts(self, split: SplitT) -> dict[str, int]:
        """Rows of each class, where the task has classes."""
        return {}

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of predictions/ -> {text, text_pair?, truth, prediction, score}, the most confidently wrong first."""
        return []

    def points(self, answers: list[dict[str, Any]]) -> list[tuple[float, float]]:
        """Rows of predictions/ -> (truth, prediction), where both are numbers."""
        return []
