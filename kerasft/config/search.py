"""The section `search` of a config: which keys `kerasft search` tries, and how it chooses."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional, Union

from pydantic import Field, model_validator

from kerasft.config.section import Folder, Section

Scalar = Union[bool, int, float, str, None]
Ends = Annotated[list[float], Field(min_length=2, max_length=2)]
HEADLINE = "headline"
# Keys that a trial gets from the search, or that would give each trial other rows to be measured on.
FIXED = ("name", "seed", "search", "output", "export", "inspect", "ensemble")
FIXED_DATA = ("data.validation", "data.test", "data.limit", "data.cache", "data.columns", "data.format")
# Keys by which the steps of an epoch, and with them those of a validation, differ from trial to trial.
CHANGE_STEPS = ("data", "training.batch_size", "training.tokens_per_batch", "model.max_length")


class RangeConfig(Section):
    """The values of one key, one of four forms."""

    log: Optional[Ends] = Field(None, description="[least, most] of a number, evenly by its logarithm.")
    linear: Optional[Ends] = Field(None, description="[least, most] of a number.")
    whole: Optional[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(
        None, description="[least, most] of a whole number, both included."
    )
    choice: Optional[list[Scalar]] = Field(None, min_length=1, description="The values themselves.")
    points: Optional[int] = Field(
        None, ge=2, description="For sampler grid: how many values of log or linear, both ends among them."
    )

    @property
    def form(self) -> str:
        """Which of the four it is."""
        return next(form for form in ("log", "linear", "whole", "choice") if getattr(self, form) is not None)

    @property
    def ends(self) -> list[Scalar]:
        """The values that a schema must take for it to take all: both ends, or each choice."""
        return list(getattr(self, self.form))

    @property
    def bounds(self) -> tuple[float, float]:
        """Both ends of a range of numbers."""
        low, high = self.log or self.linear or self.whole or (0.0, 0.0)
        return float(low), float(high)

    @property
    def values(self) -> list[Scalar]:
        """Of a choice, or all the whole numbers of a range."""
        if self.choice is not None:
            return list(self.choice)
        low, high = self.bounds
        return list(range(int(low), int(high) + 1))

    @model_validator(mode="after")
    def _one_form(self) -> RangeConfig:
        forms = [form for form in ("log", "linear", "whole", "choice") if getattr(self, form) is not None]
        if len(forms) != 1:
            given = f"{' and '.join(forms)} are both set" if forms else "it has no values"
            raise ValueError(f"{given}; write one of log, linear, whole ([least, most]) or choice (a list)")
        low, high = self.bounds
        if low > high:
            raise ValueError(f"{forms[0]}: {low:g} is above {high:g}; write the lower end first")
        if self.log is not None and low <= 0:
            raise ValueError(f"log: {low:g} has no logarithm; begin above 0, or write linear")
        if self.choice is not None and len({(type(value), value) for value in self.choice}) < len(self.choice):
            raise ValueError("choice: a value is there twice; remove one")
        return self


class SearchConfig(Section):
    """What `kerasft search` tries; other programs do not read it."""

    space: Optional[dict[str, RangeConfig]] = Field(
        None,
        min_length=1,
        description="Dotted key of this file -> its range; null: that of the task, see docs/search.md.",
    )
    sampler: Literal["tpe", "random", "grid", "cmaes"] = Field(
        "tpe", description="How values are chosen; tpe draws the first 10 trials at random; cmaes is for numbers alone."
    )
    pruner: Optional[Literal["none", "asha", "median", "hyperband"]] = Field(
        None,
        description="Which trials end early, by the headline figure at equal steps; null: asha, and none with several "
        "objectives or cmaes.",
    )
    first_rung: Optional[int] = Field(
        None,
        ge=1,
        description="For asha and hyperband: the step of the first comparison; null: that of the first validation.",
    )
    factor: int = Field(3, ge=2, description="For asha and hyperband: one of so many goes on at each comparison.")
    startup: int = Field(
        5, ge=1, description="For median: trials that are never ended early, as there is no median yet."
    )
    objectives: list[Literal["headline", "latency", "size"]] = Field(
        [HEADLINE],
        min_length=1,
        description="What is made best: the task's headline figure; milliseconds of an answer; bytes of the weights. "
        "headline comes first; with several there is no single winner, see docs/search.md.",
    )
    trials: int = Field(20, ge=1, description="How many trials, of all workers together; --trials wins.")
    repeats: int = Field(3, ge=0, description="How often the winner is trained again, with other seeds.")
    store: Optional[str] = Field(
        None,
        min_length=1,
        description="Where workers share their trials: a file (a journal), sqlite:///FILE on one machine, or "
        "postgresql://...; null: a journal in the search's folder.",
    )
    patience: float = Field(
        60.0, gt=0, description="Seconds without a sign of life after which another worker takes over a trial."
    )
    dir: Optional[Folder] = Field(None, description="The folder of the search; null: output.dir/NAME-search.")

    @property
    def chosen_pruner(self) -> str:
        """The pruner, with null resolved."""
        single = len(self.objectives) == 1 and self.sampler != "cmaes"
        return self.pruner or ("asha" if single else "none")

    @model_validator(mode="after")
    def _compatible(self) -> SearchConfig:
        if self.objectives[0] != HEADLINE or len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"search.objectives: {self.objectives}; write headline first, and each at most once")
        if self.pruner not in (None, "none") and len(self.objectives) > 1:
            raise ValueError(f"search.pruner: {self.pruner} compares one figure; set none, or one objective")
        if self.sampler == "cmaes":
            if self.pruner not in (None, "none"):
                raise ValueError(f"search.pruner: {self.pruner}, but cmaes learns from whole trials; set none")
            if len(self.objectives) > 1:
                raise ValueError("search.sampler: cmaes is for one objective; take tpe")
        for key, section in (self.space or {}).items():
            if self.sampler == "cmaes" and section.form == "choice":
                raise ValueError(f"search.sampler: cmaes is for numbers, and {key} has choices; take tpe")
            if self.sampler == "grid" and section.form in ("log", "linear") and section.points is None:
                raise ValueError(f"search.space.{key}: a grid needs points beside {section.form}, such as points: 4")
        return self


_COMMON = {
    "training.optimizer.warmup": {"linear": [0.0, 0.2], "points": 3},
    "training.optimizer.weight_decay": {"log": [1e-3, 0.1], "points": 3},
}
_LAYERS = {"training.optimizer.layer_decay": {"linear": [0.75, 1.0], "points": 3}}
_RATE = "training.optimizer.learning_rate"
_HEAD_RATE = {"training.optimizer.head_learning_rate": {"log": [5e-5, 5e-3], "points": 3}}

# Task -> the ranges that its fine-tuning is most often sensitive to, the rate first. With model.peft the rate's is
# another: few weights that begin at 0 want a larger one.
DEFAULT_SPACES: dict[str, dict[str, Any]] = {
    "text_classification": {_RATE: {"log": [1e-5, 5e-4], "points": 5}, **_HEAD_RATE, **_LAYERS, **_COMMON},
    "token_classification": {_RATE: {"log": [1e-5, 1e-3], "points": 5}, **_HEAD_RATE, **_LAYERS, **_COMMON},
    "relation_extraction": {_RATE: {"log": [1e-5, 5e-4], "points": 5}, **_HEAD_RATE, **_LAYERS, **_COMMON},
    "question_answering": {_RATE: {"log": [1e-5, 3e-4], "points": 5}, **_LAYERS, **_COMMON},
    "text_embedding": {_RATE: {"log": [5e-6, 3e-4], "points": 5}, **_COMMON},
    "masked_lm": {_RATE: {"log": [1e-5, 1e-3], "points": 5}, **_COMMON},
    "text_generation": {_RATE: {"log": [5e-6, 5e-4], "points": 5}, **_COMMON},
    "seq2seq": {_RATE: {"log": [5e-6, 5e-4], "points": 5}, **_COMMON},
}
_PEFT = {_RATE: {"log": [1e-4, 1e-2], "points": 5}, **_COMMON}


def space_of(config: Any) -> dict[str, RangeConfig]:
    """The ranges of a search over a config: its own, or the task's."""
    if config.search is not None and config.search.space is not None:
        return dict(config.search.space)
    ranges = DEFAULT_SPACES[config.task.name] if config.model.peft is None else _PEFT
    return {key: RangeConfig.model_validate(value) for key, value in ranges.items()}
