"""Ranges of a config as Optuna has them, and as numbers between 0 and 1."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from kerasft.config.search import RangeConfig

DIGITS = 6  # of a drawn number: a YAML file stays readable, and no bit of a logarithm decides

Space = Mapping[str, RangeConfig]
Direction = Literal["maximize", "minimize"]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Key -> Optuna's form of its range."""
    return {key: _distribution(section) for key, section in space.items()}


def _distribution(section: RangeConfig) -> BaseDistribution:
    if section.form == "choice":
        return CategoricalDistribution(section.values)
    low, high = section.bounds
    if section.form == "whole":
        return IntDistribution(int(low), int(high))
    return FloatDistribution(low, high, log=section.form == "log")


def value_at(section: RangeConfig, share: float) -> Any:
    """The value of a range at 0 (its lower end) to 1 (its upper end)."""
    if section.form in ("choice", "whole"):
        values = section.values
        return values[min(int(share * len(values)), len(values) - 1)]
    low, high = section.bounds
    if section.form == "linear":
        return rounded(section, low + share * (high - low))
    return rounded(section, math.exp(math.log(low) + share * (math.log(high) - math.log(low))))


def share_of(section: RangeConfig, value: float) -> float:
    """Where a number stands in its range, 0 to 1: `value_at` gives it back."""
    low, high = section.bounds
    if section.form == "whole":
        return (value - low + 0.5) / (high - low + 1)
    if section.form == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.5


def rounded(section: RangeConfig, value: Any) -> Any:
    """A drawn value with few digits, within its range; whole numbers and choices as they are."""
    if section.form not in ("log", "linear"):
        return value
    low, high = section.bounds
    return min(max(float(f"{float(value):.{DIGITS}g}"), low), high)


def grid(space: Space) -> list[dict[str, Any]]:
    """Every combination, the last key changing first."""
    columns = [[(key, value) for value in _points(section)] for key, section in space.items()]
    return [dict(row) for row in itertools.product(*columns)]


def _points(section: RangeConfig) -> list[Any]:
    if section.form in ("choice", "whole"):
        return section.values
    assert section.points is not None  # SearchConfig asks for them
    values = [value_at(section, place / (section.points - 1)) for place in range(section.points)]
    return list(dict.fromkeys(values))
