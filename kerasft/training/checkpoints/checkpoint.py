"""The whole state of a training run in one checkpoint, and the best weights in another."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasft.distribution.workers import Workers
from kerasft.errors import UserError
from kerasft.models.weights_digest import weights_digest
from kerasft.training.checkpoints.checkpoint_files import CheckpointStore, Entry


class Progress(tf.train.experimental.PythonState):
    """What a run knows beside its variables: losses, validations, the best of them, what it took.

    Attributes:
        history: rows of the learning curves, JSON-able.
        losses: since the last row of the history.
        best: {"step", "value", "loss", "state"} of the best validation so far, or empty.
        counted: the last value that early stopping took for an improvement.
        waited: validations since then.
        validated: the step of the last validation.
        spent: seconds, those of them in steps, those of these without a batch; examples, tokens.
        parts: see `kerasft.training.batches.Batches.going_on`.
        forms: of layers that its steps run, see `fused_layers`.
        base: digest of the weights that do not train and are no part of a checkpoint; None: all train.
    """

    KEPT = ("history", "losses", "best", "counted", "waited", "validated", "spent", "parts", "forms", "base")

    def __init__(self):
        self.history: list[dict[str, Any]] = []
        self.losses: list[float] = []
        self.best: dict[str, Any] = {}
        self.counted: float | None = None
        self.waited = 0
        self.validated = 0
        self.spent = {"seconds": 0.0, "step_seconds": 0.0, "input_seconds": 0.0, "examples": 0, "tokens": 0}
        self.parts: int | None = None
        self.forms: list[str] | None = None
        self.base: str | None = None

    @property
    def input_wait(self) -> float | None:
        """The share of the time in steps in which a step had no batch yet; None where there were none."""
        seconds = self.spent["step_seconds"]
        return self.spent["input_seconds"] / seconds if seconds else None

    def rates(self) -> dict[str, float | None]:
        """Seconds of the run and of its steps, and what these did a second; None where there were none."""
        seconds = self.spent["step_seconds"]
        return {
            "seconds": self.spent["seconds"],
            "step_seconds": seconds,
            "examples_per_second": self.spent["examples"] / seconds if seconds else None,
            "real_tokens_per_second": self.spent["tokens"] / seconds if seconds else None,
        }

    def take_forms(self, forms: Sequence[str]) -> str | None:
        """Keeps what steps are made of from here on; says so where that is not what they were made of before."""
        before, self.forms = self.forms, list(forms)
        if before in (None, self.forms):
            return None
        other = ", ".join(sorted(set(before) ^ set(self.forms)))
        return f"training.fused was another before ({other}): the bits will differ from there on"

    def serialize(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.KEPT}, default=_plain)

    def deserialize(self, string_value: bytes) -> None:
        # only names of ours: a checkpoint is data, and must not set what it likes
        state = json.loads(string_value)
        state.setdefault("counted", state.get("best", {}).get("value"))  # states of before there was one
        for name, value in state.items():
            if name in self.KEPT:
                setattr(self, name, value)


class Checkpoints:
    """Writes and restores a run's state: weights, optimizer, random states and progress.

    The state is the same in every worker: the chief writes it, and all read what the chief chose. Weights that do not
    train are in no checkpoint: it has their digest, and a run goes on from the same ones alone.

    Args:
        folder: that of a run's checkpoints, local or gs://.
        model: its weights and the states of its random seeds are kept.
        optimizer: built for the model's variables: its slots are kept.
        keep: how many checkpoints stay.
        workers: of the run; None: this process alone.
        written_by: see `CheckpointStore`.
        others: variables of the run that model and optimizer do not keep, such as an objective's.
    """

    def __init__(
        self,
        folder: Any,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        keep: int,
        workers: Workers | None = None,
        writer: str | None = None,
        others: Sequence[keras.Variable] = (),
    ):
        self.folder, self.progress, self.workers = str(folder), Progress(), workers or Workers()
        self.model, self.optimizer, self.others = model, optimizer, list(others)
        excluded = {id(variable) for variable in self.others}  # of a method's, in its bank
        self.base = [weight for weight in model.weights if not weight.trainable and id(weight) not in excluded]
        excluded |= {id(weight) for weight in self.base}
        state = _state(variable for variable in model.variables if id(variable) not in excluded)
        groups = {"model": _Group(state | {"progress": self.progress})}
        groups["optimizer"] = _Group(_state(optimizer.variables))
        if self.others:
            groups["others"] = _Group(_state(self.others))
        whole = tf.train.Checkpoint(**groups)
        weights = tf.train.Checkpoint(
            model=_Group(_state(weight for weight in model.weights if id(weight) not in excluded))
        )
        # Of the best there are two while a newer one is written, and one otherwise.
        self.states = CheckpointStore(self.folder, whole, keep, writer)
        self.best = CheckpointStore(f"{self.folder}/best", weights, 1, writer)

    @property
    def step(self) -> int:
        return int(keras.ops.convert_to_numpy(self.optimizer.iterations))

    def prepare(self) -> None:
        """Makes the folders."""
        if not self.workers.chief:
            return
        tf.io.gfile.makedirs(f"{self.folder}/best")

    def save(self) -> None:
        if self.workers.chief:
            self.progress.base = self.base_digest
            self.states.save(self.step)

    def save_best(self) -> None:
        """Keeps the weights as they stand: those of the moving average while they are swapped in."""
        if self.workers.chief:
            self.best.save(self.step)

    def restore(self) -> list[str]:
        """Continues from the newest checkpoint that is whole, or from the first step where there is none at all.

        Returns:
            What is wrong with newer ones.

        Raises:
            UserError: there are checkpoints and all of them are damaged.
        """
        good, damaged = self.states.entries()
        number = self.workers.all_gather(good[0].number if good else 0)[0]
        if number:
            self.load(self._entry_of_chief(number, good))
            if self.workers.chief:
                self.states.discard_after(good[0])
        elif damaged:
            raise UserError(f"{damaged[0]}, and no other checkpoint is complete; start again with --overwrite")
        return damaged

    def _entry_of_chief(self, number: int, good: list[Entry]) -> Entry:
        """The checkpoint that the chief goes on from, as this worker finds it."""
        mine = next((entry for entry in good if entry.number == number), None)
        seen_by_worker = self.workers.all_gather(int(mine is not None))
        if mine is None or 0 in seen_by_worker:
            self.workers.final_barrier()
            raise UserError(
                f"{self.folder}/ckpt-{number}: worker {seen_by_worker.index(0)} does not see all of it; name an "
                "output.dir on a file system that all workers share"
            )
        return mine

    @functools.cached_property
    def base_digest(self) -> str | None:
        """SHA-256 of the weights that do not train; None: all do."""
        return weights_digest(self.base) if self.base else None

    def load(self, entry: Entry) -> None:
        """The state of one checkpoint.

        Raises:
            UserError: of a run whose optimizer keeps other things, such as the rows that are deferred, or that trains
                beside other frozen weights.
        """
        try:
            self.states.read(entry).assert_consumed()
        except AssertionError as error:
            raise UserError(
                f"{entry.prefix}: its run had other variables: it was made by another version of kerasft, or on "
                "another number of devices; resume with those, or start again with --overwrite"
            ) from error
        if self.progress.base != self.base_digest:
            raise UserError(
                f"{entry.prefix}: its run trained beside other frozen weights than those of this model.preset; bring "
                "that back as it was, or start anew with --overwrite"
            )

    def restore_best(self) -> None:
        """The weights of the best validation."""
        if not self.progress.best:
            return
        good, damaged = self.best.entries()
        for entry in good:
            if entry.step == self.progress.best["step"]:
                self.best.read(entry).assert_existing_objects_matched()
                return
        wrong = damaged[0] if damaged else f"{self.folder}/best is gone"
        raise UserError(f"{wrong}, and with it the weights of the best validation; start again with --overwrite")

    def sha256(self) -> str:
        """Of every bit of the training state: weights, random states, optimizer, objective."""
        return weights_digest([*self.model.variables, *self.optimizer.variables, *self.others])


class _Group(tf.Module):
    """Holds variables under given names."""

    def __init__(self, members: dict[str, Any]):
        super().__init__()
        self.members = members


def _state(variables: Iterable[keras.Variable]) -> dict[str, Any]:
    # by position, since names of layers depend on what else the process has built
    return {f"v{i}": v.value if isinstance(v, keras.Variable) else v for i, v in enumerate(variables)}


def _plain(value: Any) -> Any:
    return value.item()  # a NumPy number
