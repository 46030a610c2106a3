"""Which validation's weights are kept, and when a run has gone on without a better one for long enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerasft.config.early_stopping import EarlyStoppingConfig


@dataclass(frozen=True)
class BestRule:
    """What training compares its validations by.

    The weights of the best value are kept, and of several with that value those of the lowest loss: on a small split a
    value such as an accuracy of 1 is reached long before the model is sure of its answers. Patience is about the value
    alone: a lower loss keeps no run going.

    Attributes:
        metric: what is compared.
        falls: whether less of it is better.
        stopping: patience and the least change that counts; None: a run goes to its last step.
    """

    metric: str
    falls: bool
    stopping: EarlyStoppingConfig | None = None

    def is_best(self, value: float | None, loss: float | None, best: Mapping[str, Any]) -> bool:
        """Whether a validation takes the place of the best before it, {"value", "loss"}; empty: there is none."""
        if not best:
            return True
        before = best["value"]
        if before is None:  # of values that nobody knows the newer weights, unless their loss is higher
            return value is not None or not _lower(best.get("loss"), loss)
        if value is None:
            return False
        return self._gain(value, before) > 0 or (value == before and _lower(loss, best.get("loss")))

    def counts(self, value: float | None, counted: float | None) -> bool:
        """Whether the value is better than the last one that counted, by enough to be waited for anew."""
        if value is None or counted is None:
            return value is not None
        return self._gain(value, counted) > (self.stopping.min_delta if self.stopping else 0.0)

    def is_enough(self, waited: int) -> bool:
        """Whether a run ends after so many validations since the last one that counted."""
        return self.stopping is not None and waited >= self.stopping.patience

    def _gain(self, value: float, before: float) -> float:
        return before - value if self.falls else value - before


def _lower(loss: float | None, before: float | None) -> bool:
    return loss is not None and before is not None and loss < before
