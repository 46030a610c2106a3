"""What a report is made from, and the blocks a page of it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Union

from markupsafe import Markup

if TYPE_CHECKING:
    from kerasft.data.quality.base import Finding
    from kerasft.evaluation.report.kind import Kind

MOST_ROWS = 200  # classes of a table: a browser shows thousands slowly, and nobody reads them


@dataclass(frozen=True)
class Report:
    """All that `report.html` shows. Parts that are empty leave no trace on the page.

    Args:
        name: of the run; the page's title.
        created: ISO 8601 time.
        kind: what is shown, of all that is known.
        headline: the key of `metrics[split]` that matters most.
        config: as it was resolved, every default in it; the page shows it whole.
        versions: package -> version.
        metrics: `validation` and `test` as kerasft.evaluation.metrics makes them, each with an `interval`
            (of `bootstrap_interval`, plus `metric`) where there is one; `training` (seconds, steps,
            examples_per_second, real_tokens_per_second, input_wait, best_step); `model` (parameters,
            trainable_parameters).
        history: rows {step, loss, learning_rate} and {step, validation: {metric: value}}.
        labels: names, in the order of the confusion matrix.
        data_summary: `splits` {name: {rows, sides {side: {lengths {min, median, p95, max}, histogram {edges (b + 1),
            counts (b)}, truncated (share of rows)}}, classes {label: rows}, unreachable (of `Task.unreachable`)}},
            `limits` {side: (key of the config, tokens)}, `shared_train_test` (test rows whose text is also in train),
            `shared_train_test_other_answer` (of them, those with another answer there),
            `duplicates_train` (train rows whose text came before), `warnings` (sentences about the names in it).
            Lengths in tokens; a side is what a model reads as one text, most have `texts` alone.
        mistakes: {text, text_pair?, truth, prediction, score}, the most confidently wrong first.
        points: (truth, prediction) of test rows, where both are numbers.
        falling: metrics of which less is better.
        inspection: what was found in the rows before training; None: they were too many to look at.
    """

    name: str
    created: str
    kind: Kind
    headline: str
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    labels: Sequence[str] = ()
    data_summary: Mapping[str, Any] = field(default_factory=dict)
    mistakes: Sequence[Mapping[str, Any]] = ()
    points: Sequence[tuple[float, float]] = ()
    falling: Sequence[str] = ()
    inspection: Sequence[Finding] | None = ()

    @property
    def split(self) -> str:
        """The split whose figures lead the page: test, or validation where there is no test."""
        return "test" if "test" in self.metrics else "validation"

    @property
    def scores(self) -> Mapping[str, Any]:
        """The metrics of `split`."""
        return self.metrics.get(self.split, {})

    @property
    def splits(self) -> Mapping[str, Mapping[str, Any]]:
        """The data summary of each split."""
        return self.data_summary.get("splits", {})


@dataclass(frozen=True)
class Figure:
    """A drawing with a line under it."""

    kind: ClassVar[str] = "figure"
    svg: Markup
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under named columns. A column's form is text, count, score, or bar (a score with a bar behind it)."""

    kind: ClassVar[str] = "table"
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    visible: int = 30  # rows beyond these are folded away
    wide: bool = True


@dataclass(frozen=True)
class Facts:
    """Names and values, a line each."""

    kind: ClassVar[str] = "facts"
    rows: Sequence[tuple[str, str]]
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Examples:
    """Texts with what was true and what was answered: a mapping of text, text_pair, truth, prediction, score."""

    kind: ClassVar[str] = "examples"
    rows: Sequence[Mapping[str, str]]
    score_name: str = "score"
    visible: int = 10  # rows beyond these are folded away
    wide: bool = True


@dataclass(frozen=True)
class Code:
    """Text as it stands, folded behind its title."""

    kind: ClassVar[str] = "code"
    title: str
    text: str
    wide: bool = True


@dataclass(frozen=True)
class Words:
    """Texts whose words have a score each: its sign is a colour, its size how strong that is, and it stands there."""

    kind: ClassVar[str] = "words"
    rows: Sequence[tuple[str, Sequence[tuple[str, float | None]]]]  # a line above each text, and its words
    caption: str = ""
    wide: bool = True

    def strength(self, words: Sequence[tuple[str, float | None]], score: float | None) -> int:
        """Percent of the largest score of a text."""
        largest = max((abs(other) for _, other in words if other is not None), default=0.0)
        return round(100 * abs(score) / largest) if score and largest else 0


Block = Union[Figure, Table, Facts, Examples, Code, Words]


@dataclass(frozen=True)
class Section:
    """A heading, what it says in a sentence, and its blocks."""

    title: str
    blocks: Sequence[Block]
    note: str = ""
