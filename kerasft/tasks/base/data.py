"""What a task reads and learns from data: the part of the contract in plain Python, without TensorFlow."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from kerasft.config.peft_rows import PROMPT_IDS
from kerasft.config.schema import Config, TrainingConfig
from kerasft.config.task_section import TaskSection
from kerasft.data.augmentation.registry import check_augment
from kerasft.data.stages.base import WEIGHT
from kerasft.errors import UserError
from kerasft.quoting import quoted
from kerasft.tasks.base.auditable import Auditable
from kerasft.tasks.base.augmentable import Augmentable
from kerasft.tasks.base.declarations import Column, Number, Unreachable

if TYPE_CHECKING:  # a config or data error must be found without waiting for TensorFlow
    import pyarrow as pa

    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table

SectionT = TypeVar("SectionT", bound=TaskSection)  # a task's own section of the config
SplitT = TypeVar("SplitT", bound="Prepared")  # what its rows become
OPTIONAL = ("class_weights", "label_smoothing")  # keys of `training` that a task honours where it says so
TOKEN_IDS = ("marker_ids", PROMPT_IDS)  # keys of a task's state whose values are ids of tokens, a list each


class TaskData(Augmentable, Auditable, abc.ABC, Generic[SectionT, SplitT]):
    """A task's rows: how records become them, what is learnt from them, and how a model reads them.

    Args:
        config: all sections: a task reads `data.columns`, `model` and `training`, too.
        state: what the task learnt from data (label names, thresholds), JSON-able; it is saved with the model.

    Attributes:
        section: of the config, the task's own.
        section_class: its class; a task refuses a config with another.
        columns: roles of columns that the data may have.
        inputs: names of the string columns that an answer needs: the inputs of the served model.
        headline: the metric that chooses the best checkpoint, a key of `metrics`.
        rising: metrics a run can be chosen by, where more is better.
        falling: and where less is better.
        honours: which of `OPTIONAL` change what this task does; the others are refused.
        encoder_decoder: whether the model has a decoder that reads what an encoder gives.
    """

    section: SectionT
    section_class: type[SectionT]
    columns: tuple[Column, ...]
    inputs: tuple[str, ...]
    headline: str
    rising: tuple[str, ...]
    falling: tuple[str, ...]
    honours: tuple[str, ...] = ()
    encoder_decoder = False

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        section: TaskSection = config.task
        if not isinstance(section, self.section_class):
            raise TypeError(f"{type(self).__name__} takes a {self.section_class.__name__}, not a {config.task.name}")
        self.config, self.section = config, section
        self.state: dict[str, Any] = dict(state or {})

    @classmethod
    def section_keys(cls) -> frozenset[str]:
        """The keys of its section."""
        return frozenset(cls.section_class.model_fields)

    @property
    def positions(self) -> int:
        """Tokens of the longest text that the model reads."""
        return self.config.model.max_length

    def check_config(self) -> None:
        """Raises UserError for a key that this task can't honour, before any data is read."""
        name, training = self.config.task.name, self.config.training
        architecture = self.config.model.architecture
        if architecture is not None and (architecture.family == "bart") != self.encoder_decoder:
            fix = "set it to bart" if self.encoder_decoder else "set it to bert or gpt2, or task.name to seq2seq"
            raise UserError(f"model.architecture.family: {name} does not start from a {architecture.family}; {fix}")
        stopping = training.early_stopping
        if stopping and stopping.metric not in self.rising + self.falling:
            measured = ", ".join(self.rising + self.falling)
            raise UserError(
                f"training.early_stopping.metric: {quoted(stopping.metric)} is not measured; there are: {measured}"
            )
        refused = [key for key in OPTIONAL if key not in self.honours]
        if any(getattr(training, key) != TrainingConfig.model_fields[key].default for key in refused):
            keys, fix = " and ".join(f"training.{key}" for key in refused), "" if refused[1:] else "; leave it null"
            raise UserError(f"{keys}: not for task {name}{fix}")
        check_augment(self.config, self)

    @abc.abstractmethod
    def schema(self) -> pa.Schema:
        """The Arrow schema of one parsed row."""

    @abc.abstractmethod
    def parse(self, record: Record) -> dict[str, Any]:
        """One source record -> one row of `schema`. Raises UserError with the record's place."""

    @abc.abstractmethod
    def parse_inputs(self, record: Record) -> dict[str, str]:
        """One record without a target -> `inputs`; a column may also bear the name of its role."""

    def unlabelled(self, record: Record) -> dict[str, Any]:
        """One record without a target -> a row of `schema` whose target says nothing.

        Raises:
            UserError: with the record's place, where it has no text.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rows without a target")

    @property
    def numbers(self) -> Mapping[str, Mapping[str, Number]]:
        """Signatures of the served model beside its usual ones, and what they take besides `inputs`."""
        return {}

    @abc.abstractmethod
    def fit(self, splits: Mapping[str, Table]) -> None:
        """Learns `state` from the splits and checks them against each other. Raises UserError."""

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        """Raises UserError where a split has a target that `state` does not know."""

    def grown_labels(self, old: Sequence[str], train: Table, where: str) -> list[str]:
        """The labels of a model that goes on learning, for tasks whose section `grows` or `grows_types`.

        Args:
            old: those it has, which keep their places.
            train: new rows; their labels that are new come behind the old, sorted.
            where: what has the old labels, for messages.

        Raises:
            UserError: `task.labels` lacks an old label, or a new one is an old one in another spelling.
        """
        raise NotImplementedError(f"{type(self).__name__} has no labels that grow")

    def data_warnings(self) -> list[str]:
        """What is odd about the names that were learnt, before training; a sentence each."""
        return []

    def unreachable(self, split: SplitT) -> Unreachable | None:
        """How many true answers of a prepared split no answer can equal; None where the task has no such."""
        return None

    def stratify(self, table: Table) -> np.ndarray | None:
        """(rows,) group of each row for the stratified validation share; None: a plain share."""
        return None

    def targets(self, table: Table) -> np.ndarray:
        """(rows, ...) what the loss compares logits with; a task with a `prepare` of its own may have none."""
        raise NotImplementedError(f"{type(self).__name__} has neither targets nor a prepare of its own")

    def weights(self, targets: np.ndarray) -> np.ndarray:
        """(rows,) float32 weight of each training row in the loss."""
        return np.ones(len(targets), np.float32)

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> Prepared:
        """A table as the model reads it; `weighted` in training."""
        from kerasft.data.prepared.prepared import prepare

        targets = self.targets(table)
        weights = self.weights(targets) if weighted else np.ones(len(targets), np.float32)
        if weighted and WEIGHT in table.schema.names:
            weights = weights * table.numpy(WEIGHT)
        return prepare(table, preprocessor, targets, weights)

    def features_made_from(self, weighted: bool = False) -> dict[str, Any]:
        """All that `prepare` reads beside the table, the model and its tokenizer, JSON-able: a cache is asked by it."""
        config = self.config
        return {
            "task": config.task.model_dump(mode="json"),
            "state": self.state,
            "max_length": config.model.max_length,
            "columns": config.data.columns,
            "class_weights": config.training.class_weights if weighted else None,
            "weighted": weighted,
            **({} if config.prompting is None else {"prompting": config.prompting.model_dump(mode="json")}),
        }
