"""Charts of a search, in the manner of a run's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from kerasft.config.search import RangeConfig
from kerasft.evaluation.report.plots import ACCENT, ERROR, INK, MUTED, drawing
from kerasft.search.ranges import Space, share_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.trial import FrozenTrial

_MOST_CURVES = 200


def curves(trials: Sequence[FrozenTrial], best: int, headline: str) -> Markup | None:
    """The headline figure by step, a line a trial; those that were ended early stop where they were."""
    shown = [trial for trial in trials if trial.intermediate_values][:_MOST_CURVES]
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        for trial in shown:
            points = sorted(trial.intermediate_values.items())
            steps, values = zip(*points)
            won = trial.number == best
            color, width = (ERROR, 2.0) if won else (MUTED, 0.8)
            axes.plot(steps, values, color=color, lw=width, alpha=1 if won else 0.6, marker="o", ms=2.5, zorder=2 + won)
        axes.set(xlabel="step", ylabel=headline)

    return drawing("curves", draw)


def best_until(trials: Sequence[FrozenTrial], falls: bool, headline: str) -> Markup | None:
    """The best figure after each trial that came to its end, and those figures."""
    points = [(trial.number, trial.values[0]) for trial in trials if trial.values]
    if not points:
        return None

    def draw(axes: Axes) -> None:
        numbers, values = zip(*points)
        best = [(min if falls else max)(values[: place + 1]) for place in range(len(values))]
        axes.plot(numbers, values, color=MUTED, marker="o", ms=4, lw=0)
        axes.step(numbers, best, where="post", color=ACCENT, lw=1.5)
        axes.set(xlabel="trial", ylabel=headline)

    return drawing("best", draw)


def parallel(trials: Sequence[FrozenTrial], best: int, space: Space, falls: bool) -> Markup | None:
    """A line a trial through what it tried, each key from its lower end to its upper; the better quarter in colour."""
    complete = [trial for trial in trials if trial.values]
    if len(complete) < 2 or len(space) < 2:
        return None
    ranked = sorted(complete, key=lambda trial: trial.values[0] if falls else -trial.values[0])
    good = {trial.number for trial in ranked[: max(1, len(ranked) // 4)]}

    def draw(axes: Axes) -> None:
        for trial in complete:
            heights = [_height(section, trial.params[key]) for key, section in space.items()]
            won = trial.number == best
            color = ERROR if won else ACCENT if trial.number in good else MUTED
            axes.plot(range(len(space)), heights, color=color, lw=2 if won else 1, alpha=1 if won else 0.6)
        axes.set_xticks(range(len(space)), [f"{place + 1}" for place in range(len(space))])
        axes.set_yticks([0, 1], ["low", "high"])
        axes.set(ylim=(-0.05, 1.05), xlabel="key, as numbered in the table below")

    return drawing("parallel", draw)


def fronts(trials: Sequence[FrozenTrial], best: Sequence[int], names: Sequence[str]) -> Markup | None:
    """The first two objectives of each trial, those that no other beats in colour."""
    complete = [trial for trial in trials if trial.values and len(trial.values) > 1]
    if not complete:
        return None

    def draw(axes: Axes) -> None:
        for trial in complete:
            on_front = trial.number in best
            axes.plot(trial.values[1], trial.values[0], color=ERROR if on_front else MUTED, marker="o", ms=5, lw=0)
        axes.set(xlabel=names[1], ylabel=names[0])

    return drawing("front", draw)


def bars(values: Mapping[str, float]) -> Markup:
    """Shares of several keys, which the caption names by number."""

    def draw(axes: Axes) -> None:
        places = list(range(len(values)))
        axes.barh(places, list(values.values()), color=ACCENT, alpha=0.8)
        axes.set_yticks(places, [f"{place + 1}" for place in places])
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set(xlabel="share")

    return drawing("importance", draw)


def _height(section: RangeConfig, value: Any) -> float:
    if section.form == "choice":
        return section.values.index(value) / max(1, len(section.values) - 1)
    return share_of(section, float(value))
