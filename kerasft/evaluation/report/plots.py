"""Charts as inline SVG: deterministic, without pyplot's global state, in colours that the page's CSS decides.

No label and no text of the data goes through matplotlib, whose fonts lack most scripts: charts hold
numbers and English words, and these stay text that the browser's own font draws.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

if TYPE_CHECKING:  # matplotlib takes a second, and only the end of a run needs it
    from matplotlib.axes import Axes

# Stand-ins that matplotlib accepts as colours; `drawing` puts the page's CSS variables in their place.
INK, MUTED, LINE, ACCENT, ERROR = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", ACCENT: "--accent", ERROR: "--error"}
_MOST_POINTS = 400


def loss_curve(history: Sequence[Mapping[str, Any]], best_step: int | None) -> Markup | None:
    """Training loss by step, raw and smoothed, with validation log loss where there is one; None without steps."""
    steps, losses = _column(history, lambda row: row.get("loss"))
    if not len(steps):
        return None
    checked, log_losses = _column(history, lambda row: row.get("validation", {}).get("log_loss"))

    def draw(axes: Axes) -> None:
        x, y = _thinned(steps, losses)
        crowded = len(x) > 40
        axes.plot(x, y, color=ACCENT, lw=1, alpha=0.35 if crowded else 1, label=None if crowded else "training")
        if crowded:
            axes.plot(x, _smoothed(y), color=ACCENT, lw=1.8, label="training, smoothed")
        if len(checked):
            axes.plot(checked, log_losses, color=ERROR, lw=1.2, marker="o", ms=4, label="validation")
        _mark_step(axes, best_step)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.set_ylim(bottom=0)
        _legend(axes)

    return drawing("loss", draw)


def validation_curve(
    history: Sequence[Mapping[str, Any]], names: Mapping[str, str], best_step: int | None
) -> Markup | None:
    """Validation metrics by step; None where none was taken.

    Args:
        history: as in `Report`.
        names: metric -> what the legend calls it, the headline first.
        best_step: marked with a line.
    """
    curves = {
        title: _column(history, lambda row, key=key: row.get("validation", {}).get(key)) for key, title in names.items()
    }
    curves = {title: curve for title, curve in curves.items() if len(curve[0])}
    if not curves:
        return None

    def draw(axes: Axes) -> None:
        looks = [(ACCENT, "-"), (ERROR, "-"), (MUTED, "--"), (INK, ":")]
        for (title, (steps, values)), (color, style) in zip(curves.items(), looks):
            axes.plot(steps, values, color=color, ls=style, lw=1.5, marker="o", ms=4, label=title)
        _mark_step(axes, best_step)
        axes.set_xlabel("step")
        axes.set_ylabel("validation")
        axes.margins(y=0.15)
        _legend(axes)

    return drawing("validation", draw)


def reliability_diagram(bins: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Accuracy against confidence, the share of rows in each bin below it; None without rows."""
    filled = [row for row in bins if row["count"]]
    if not filled:
        return None
    total = sum(row["count"] for row in filled)

    def draw(axes: Axes) -> None:
        low = np.array([row["low"] for row in filled])
        width = np.array([row["high"] for row in filled]) - low
        share = np.array([row["count"] / total for row in filled])
        axes.bar(low, share, width, align="edge", color=MUTED, alpha=0.3, lw=0, label="share of examples")
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--", label="ideal")
        confidence, accuracy = ([row[key] for row in filled] for key in ("confidence", "accuracy"))
        axes.vlines(confidence, accuracy, confidence, color=ERROR, lw=1.5)
        axes.plot(confidence, accuracy, color=ACCENT, lw=1.5, marker="o", ms=4, label="this model")
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
        _legend(axes)

    return drawing("reliability", draw)


def length_histogram(
    edges: Sequence[float], counts: Sequence[int], limit: tuple[str, int], texts: str = "texts"
) -> Markup | None:
    """How long texts are, with the length at which they are cut; None without texts.

    Args:
        edges: (b + 1,) tokens.
        counts: (b,) texts between two edges.
        limit: the key that says how long they may be, and its tokens.
        texts: what they are called; no two histograms of a page are of the same.
    """
    if not sum(counts):
        return None

    def draw(axes: Axes) -> None:
        axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=ACCENT, alpha=0.75, lw=0)
        axes.axvline(limit[1], color=ERROR, lw=1.5, ls="--", label=" ".join(map(str, limit)))
        _legend(axes)
        axes.set(xlabel="tokens", ylabel=texts, xlim=(0, max(edges[-1], limit[1] * 1.05)))

    return drawing(f"lengths-of-{texts}", draw)


def prediction_scatter(points: Sequence[tuple[float, float]]) -> Markup | None:
    """Predicted against true values, at most 400 evenly chosen points; None without points."""
    if not len(points):
        return None
    sample = np.asarray(points, np.float64)[np.linspace(0, len(points) - 1, min(len(points), _MOST_POINTS)).astype(int)]

    def draw(axes: Axes) -> None:
        ends = [sample.min(), sample.max()]
        axes.plot(ends, ends, color=MUTED, lw=1, ls="--", label="predicted = true")
        axes.plot(*sample.T, ls="", marker="o", ms=3.5, mew=0, color=ACCENT, alpha=0.45, label="an example")
        axes.set(xlabel="true", ylabel="predicted")
        _legend(axes)

    return drawing("scatter", draw)


def stage_curves(curves: Mapping[str, Sequence[tuple[int, float]]]) -> Markup | None:
    """Scores by stage, a line for each learner, one that was measured once as a point; None for a single stage.

    Args:
        curves: name -> (stage, score), this run's first.
    """
    if max((len(points) for points in curves.values()), default=0) < 2:
        return None

    def draw(axes: Axes) -> None:
        looks = [(ACCENT, "-"), (MUTED, "--"), (ERROR, "-")]
        for (name, points), (color, style) in zip(curves.items(), looks):
            axes.plot(*zip(*points), color=color, ls=style, lw=1.5, marker="o", ms=4, label=name)
        axes.set(xlabel="stage", ylabel="all tests so far")
        axes.set_xticks(range(1, 1 + max(len(points) for points in curves.values())))
        axes.set_ylim(bottom=0)
        _legend(axes)

    return drawing("stages", draw)


def _column(history: Sequence[Mapping[str, Any]], value: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the rows that have this value."""
    pairs = [(row["step"], value(row)) for row in history if value(row) is not None]
    return np.array([step for step, _ in pairs]), np.array([number for _, number in pairs], np.float64)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 400 points, each the mean of its neighbours: a page must not grow with the number of steps."""
    groups = min(len(x), _MOST_POINTS)
    steps, values = (np.array([part.mean() for part in np.array_split(each, groups)]) for each in (x, y))
    return steps, values


def _smoothed(y: np.ndarray) -> np.ndarray:
    """The mean over a window of a fifteenth of the points, shorter at both ends so that they stay in place."""
    half = max(1, len(y) // 30)
    return np.array([y[max(0, i - half) : i + half + 1].mean() for i in range(len(y))])


def _mark_step(axes: Axes, step: int | None) -> None:
    if step is not None:
        axes.axvline(step, color=INK, lw=1, ls=":", label=f"best, step {step:,}")


def _legend(axes: Axes) -> None:
    """Above the axes, where it can never hide a curve."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(
        handles, labels, loc="outside upper left", ncols=len(labels), frameon=False, labelcolor=MUTED, fontsize=8.5
    )


def drawing(name: str, draw: Callable[[Axes], None]) -> Markup:
    """Draws on fresh axes and answers the SVG. Equal input gives equal bytes; `name` keeps ids apart on one page."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9.5}):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.add_subplot()
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(LINE)
        axes.tick_params(colors=MUTED, length=0)
        axes.grid(color=LINE, lw=0.6)
        axes.set_axisbelow(True)
        draw(axes)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(MUTED)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(buffer.getvalue(), name)


def _inline(svg: str, name: str) -> Markup:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg[^>]*?viewBox="([^"]+)"[^>]*>', r'<svg class="plot" role="img" viewBox="\1">', svg, count=1)
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\1{name}-", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return Markup(re.sub(r"\n\s*", "\n", svg))
