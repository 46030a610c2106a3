"""The contract of a method: what trains, what a step computes, and what is exported."""

from __future__ import annotations

import abc
import contextlib
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.layer_classes import Changes, as_classes
from kerasft.models.parts import Part
from kerasft.models.swapped_weights import swapped_in
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.new_rows import NAME as NEW_ROWS
from kerasft.peft.new_rows import NewRows
from kerasft.peft.targets import Target


class Bank(keras.layers.Layer):
    """The weights of a method, as one layer of the whole model that lies outside its backbone.

    It is never called. Variables are float32 whatever the policy; names have a dot where paths have a slash.
    """

    def __init__(self):
        super().__init__(name="peft", dtype="float32")
        self.built = True

    def add(self, path: str, value: np.ndarray, trainable: bool = True, aggregation: str = "none") -> keras.Variable:
        """A variable with this value; `aggregation`: `only_first_replica` where steps assign it themselves."""
        return self.add_weight(
            name=path.replace("/", "."),
            shape=value.shape,
            initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(value, dtype),
            dtype="float32",
            trainable=trainable,
            aggregation=aggregation,
        )

    def add_dropout(self, rate: float, seed: int) -> keras.layers.Dropout | None:
        """One for all layers, each of whose calls draws anew; it gives the type that it is given. None: a rate of 0."""
        if not rate:
            return None
        self.dropout = keras.layers.Dropout(rate, seed=seed, name="peft_dropout", autocast=False)
        return self.dropout


class Method(abc.ABC):
    """A backbone with all of its weights frozen but for those that a method trains in it or beside it.

    A method is made in the strategy's scope. Its backbone stays as KerasHub made it: in a step of training layers have
    the forms of `changes`; everywhere else `merged` gives the weights that compute the same without any form.

    Args:
        config: the section `model.peft`.
        model: features -> logits; what it does not read of its backbone has no gradient, and does not train.
        backbone: pre-trained.
        seed: of what is drawn.
        start: the adapter that training goes on from; None: a new one, which adds nothing yet.

    Raises:
        UserError: there is nothing in the backbone that the method could change, or the adapter is for another.

    Attributes:
        name: value of `model.peft.method`.
        generates: whether models that write texts can have it: their decoders run in forms of their own.
        portable: whether what it trained is kept as an adapter, too, which another run can start from.
        bank: its weights outside the backbone.
        notes: what a user is told before training; a line each.
    """

    name: ClassVar[str]
    generates: ClassVar[bool] = True
    portable: ClassVar[bool] = True

    def __init__(self, config: Any, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None):
        self.config, self.model, self.backbone, self.seed, self.start = config, model, backbone, seed, start
        for variable in backbone.weights:
            variable.trainable = False
        self.bank = Bank()
        self.notes: list[str] = []
        self.new_rows: NewRows | None = None

    def add_rows(self, ids: np.ndarray) -> None:
        """Rows of the token embeddings train, too: those of tokens that the preset does not have."""
        if not len(ids):
            return
        layer = self.backbone.token_embedding
        moved = self.bank.add(NEW_ROWS, np.zeros((len(ids), layer.embeddings.shape[1]), np.float32))
        self.new_rows = NewRows(layer, ids, moved)
        if self.start is not None and not self.new_rows.start_from(self.start):
            self.notes.append(
                f"model.peft.start: {self.start.folder} has no rows for the task's own tokens; they are new"
            )

    def read_tokenizer(self, tokenizer: Any) -> None:
        """Told once the method is in a model; by default it needs nothing of it."""

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers that were put into the model."""
        return [self.bank]

    @property
    def variables(self) -> Mapping[str, keras.Variable]:
        """All that an adapter consists of: `weights`, and rows of new tokens."""
        return {**self.weights, **({NEW_ROWS: self.new_rows.moved} if self.new_rows else {})}

    @property
    @abc.abstractmethod
    def weights(self) -> Mapping[str, keras.Variable]:
        """The method's own, by `PATH_OF_LAYER/NAME`."""

    @property
    def untrained(self) -> list[keras.Variable]:
        """Weights of the bank that do not train. Checkpoints have them: another machine may compute other bits."""
        return [weight for weight in self.bank.weights if not weight.trainable]

    @property
    def bookkeeping(self) -> list[keras.Variable]:
        """Those of `untrained` that no answer depends on: they are not counted as parameters."""
        return []

    @property
    def depths(self) -> Mapping[str, int]:
        """Path of each variable of the bank -> depth of its layer, for the layer-wise learning rate."""
        return {}

    @property
    def rates(self) -> Mapping[str, float]:
        """Path of a variable -> what its learning rate is multiplied by, where that is not 1."""
        return {}

    @property
    def part(self) -> Part | None:
        """The method's layers, where they stay in the model: saved, evaluated and exported with it; None: merged."""
        return None

    @property
    def figures(self) -> Mapping[str, Any]:
        """What `metrics.json` says of the weights as they are now, section `model.peft`."""
        return {}

    def begin(self, steps: int) -> Mapping[str, float]:
        """Told once before the first step of a process how many steps the run has; gives `rates`."""
        return self.rates

    def settled(self, step: int) -> bool:
        """Whether a model of after this step may be the one that is kept; `begin` comes first."""
        return True

    def before_update(self, variables: Sequence[keras.Variable], gradients: list, now: tf.Tensor) -> list:
        """In the graph of a step, before the optimizer: the gradients that it gets, a replica's share of each.

        Args:
            variables: that train.
            gradients: of the loss, not yet summed over replicas.
            now: how many steps there were before.
        """
        return gradients

    def after_update(self, now: tf.Tensor) -> None:
        """In the graph of a step, after the optimizer."""

    def changes(self) -> Changes:
        """The method's own forms of layers in a step, each before the form that the layer has by now."""
        return []

    def merged_values(self) -> Iterator[tuple[keras.Variable, np.ndarray]]:
        """Variables of the backbone, and what they are once the method's own weights are merged into them."""
        return iter(())

    @abc.abstractmethod
    def peft_config(self) -> dict[str, Any]:
        """Settings of the adapter as PEFT has them; a method that PEFT has not has a `peft_type` of its own."""

    @abc.abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """The method's own weights by PEFT's names."""

    def saved_tensors(self) -> dict[str, np.ndarray]:
        """All of the adapter's weights by PEFT's names."""
        return self.tensors() | (self.new_rows.tensors() if self.new_rows else {})

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Layers compute what the method adds inside."""
        with as_classes([*self.changes(), *(self.new_rows.changes() if self.new_rows else ())]):
            yield

    @contextlib.contextmanager
    def merged(self) -> Iterator[None]:
        """The backbone's weights hold base and adapter inside, and every bit of the base again afterwards."""
        with swapped_in(self._all_merged()):
            yield

    def validated(self) -> contextlib.AbstractContextManager[None]:
        """The model computes what would be exported inside; by default its backbone is `merged`."""
        return self.merged()

    def merge(self) -> None:
        """The backbone's weights hold base and adapter from here on: for a model that does not train."""
        for variable, value in self._all_merged():
            variable.assign(value)

    def _all_merged(self) -> Iterator[tuple[keras.Variable, np.ndarray]]:
        rows = self.new_rows.merged_values() if self.new_rows else ()
        return itertools.chain(self.merged_values(), rows)

    def draw(self, target: Target) -> np.random.Generator:
        """Numbers for a layer, the same whatever other layers have an adapter."""
        return np.random.default_rng([self.seed, zlib.crc32(target.path.encode())])
