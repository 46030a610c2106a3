"""One phase of a program, such as training: how far it is, how fast, how long still."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from typing import Optional, Union

WINDOW_SECONDS = 20.0
LIVE_SECONDS = 0.1
PLAIN_SECONDS = 30.0
PLAIN_LEAST_SECONDS = 1.0
BAR_WIDTHS = (24, 12, 0)
GRAPH_LEAST_SECONDS = 1.0  # what is less needs no word

Figure = Union[float, int, str]
Point = tuple[float, int, Optional[int]]  # seconds, completed, examples


def duration(seconds: float) -> str:
    """Seconds as a person says them: 0.4s, 12s, 3m05s, 2h07m."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Phase:
    """What `Terminal.progress` hands out: call `update` as the work goes on.

    Args:
        name: what is being done, for example `train`.
        total: how many units there are; None where nobody knows.
        unit: plural of what is counted.
        show: draws the phase; called after each update.
    """

    def __init__(self, name: str, total: int | None, unit: str, show: Callable[[Phase], None], clock=time.monotonic):
        self.name, self.total, self.unit = name, total, unit
        self._show, self._clock = show, clock
        self.began = clock()
        self.completed = 0
        self.figures: dict[str, Figure] = {}
        # Of the phase's time, what went into building graphs, which comes once, however much there is to do.
        self.graph_seconds: float | None = None
        # The first update, and those of the last WINDOW_SECONDS.
        self._first: Point | None = None
        self._recent: collections.deque[Point] = collections.deque()
        self._last_line = (self.began, 0)

    def update(self, completed: int, examples: int | None = None, **figures: Figure) -> None:
        """Tells how far the work is.

        Args:
            completed: units done, of `total`; a first update of 0 says that the graph is built and the work begins.
            examples: examples done, counted like `completed` from any fixed start; gives examples/s.
            figures: what is shown by name, for example loss=0.31; a figure once given stays until it changes.
        """
        point = (self._clock(), completed, examples)
        self.completed = completed
        self.figures.update(figures)
        if self.graph_seconds is None:
            self.graph_seconds = self._spent_on_graph(point)
        self._first = self._first or point
        self._recent.append(point)
        while len(self._recent) > 2 and point[0] - self._recent[0][0] > WINDOW_SECONDS:
            self._recent.popleft()
        self._show(self)

    def _spent_on_graph(self, point: Point) -> float | None:
        """Known from a first update of 0, or from how much longer the first piece of work took than the second."""
        if self._first is None:
            return point[0] - self.began if point[1] == 0 else None
        return max(0.0, (self._first[0] - self.began) - (point[0] - self._first[0]))

    def resumed(self) -> None:
        """Other work came between, such as a validation: the rate counts from here again."""
        if self._recent:
            _, completed, examples = self._recent[-1]
            self._recent = collections.deque([(self._clock(), completed, examples)])

    def text(self) -> str:
        """How the phase stands: count, figures, examples/s, time left."""
        parts = [
            f"{self.completed}{f'/{self.total}' if self.total is not None else ''} {self.unit}",
            *self._figure_texts(),
        ]
        rates = _rates(self._recent[0], self._recent[-1]) if len(self._recent) > 1 else (None, None)
        parts += _speed(rates[1])
        if rates[0] and self.total is not None and self.completed < self.total:
            parts.append(f"{duration((self.total - self.completed) / rates[0])} left")
        return ", ".join(parts)

    def summary(self, finished: bool) -> str:
        """The one line that stays when the phase is over."""
        unit = self.unit.removesuffix("s") if self.completed == 1 else self.unit
        took = duration(self._clock() - self.began)
        if not finished:
            of = f" of {self.total}" if self.total is not None else ""
            return f"{self.name}: stopped after {self.completed}{of} {self.unit}, {took}"
        parts = [f"{self.name}: {self.completed} {unit} in {took}"]
        graph_seconds = self.graph_seconds or 0.0
        if graph_seconds >= GRAPH_LEAST_SECONDS:
            parts.append(f"{duration(graph_seconds)} of it to build the graph")
        parts += self._figure_texts()
        if self._first is not None:
            # One update alone has no earlier point; the first of several carries the compilation, and is left out.
            first = self._first if len(self._recent) > 1 else (self.began, 0, 0)
            parts += _speed(_rates(first, self._recent[-1])[1])
        return ", ".join(parts)

    def bar(self, width: int, full: str, empty: str) -> str:
        """A bar of `width` characters; empty text where the total is unknown."""
        if not self.total:
            return ""
        filled = min(width, width * self.completed // self.total)
        return full * filled + empty * (width - filled)

    def due_plain(self) -> bool:
        """Whether a plain line is due: each tenth of the way, and every PLAIN_SECONDS."""
        now = self._clock()
        since, gained = now - self._last_line[0], self.completed - self._last_line[1]
        tenth = self.total is not None and gained * 10 >= self.total
        if since < PLAIN_SECONDS and not (tenth and since >= PLAIN_LEAST_SECONDS):
            return False
        self._last_line = (now, self.completed)
        return True

    def due_live(self) -> bool:
        """Whether the live line is due: ten times a second at most."""
        now = self._clock()
        if now - self._last_line[0] < LIVE_SECONDS and self.completed != self.total:
            return False
        self._last_line = (now, self.completed)
        return True

    def _figure_texts(self) -> list[str]:
        return [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.figures.items()
        ]


def _rates(first: Point, last: Point) -> tuple[float | None, float | None]:
    """Units and examples a second between two points."""
    seconds = last[0] - first[0]
    if seconds <= 0:
        return None, None
    examples = None if last[2] is None or first[2] is None else (last[2] - first[2]) / seconds
    return (last[1] - first[1]) / seconds, examples


def _speed(rate: float | None) -> list[str]:
    if not rate:
        return []
    return [f"{rate:.0f} examples/s" if rate >= 100 else f"{rate:.3g} examples/s"]
