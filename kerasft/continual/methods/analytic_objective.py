"""The graphs and the solves of methods analytic and prototypes."""

from __future__ import annotations

import abc
import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasft.continual.memory.ridge import ROWS_AT_ONCE, RidgeSums
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.heads.text_classifier import HEAD, RANDOM_FEATURES
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective

LARGEST = 1e4  # of the factor that turns scores into logits: beyond it probabilities are 0 and 1 anyway


class SumsObjective(Objective, abc.ABC):
    """A head whose columns are computed from sums over the rows, by one solve.

    Its scores are near 0 and 1, and softmax of them nearly even. So they are multiplied by the one factor that gives
    the validation split the smallest log loss, which changes no answer.

    Args:
        model: a text classifier.
        task: of the stage; its labels are those of the model.
        sums: of the rows of earlier stages; None: there were none. They are left as they are.
        digests: of the rows of the training split.

    Attributes:
        sums: with those of the training split, once solved.
        forgets: whether the rows of the training split are subtracted instead.
        joined: the sums to solve for, where they are known; the rows of the training split are in them.
        vectors: the model up to what features are made of.
        width: of the features.
    """

    forgets = False
    joined: RidgeSums | None = None
    vectors: keras.Model
    width: int

    def __init__(self, model: keras.Model, task: Task, sums: RidgeSums | None, digests: Sequence[str] = ()):
        super().__init__(model, task)
        self.before, self.digests = sums, list(digests)
        self.head = model.get_layer(HEAD)

    @abc.abstractmethod
    def features(self, vectors: np.ndarray) -> np.ndarray:
        """(rows, hidden) -> (rows, width) float32."""

    @abc.abstractmethod
    def weights(self, sums: RidgeSums) -> np.ndarray:
        """(width, classes)"""

    def solve(self, train: Prepared, validation: Prepared, strategy: tf.distribute.Strategy) -> bool:
        size = self.task.config.training.evaluation_batch_size
        vectors_of = Evaluator(self.vectors, strategy, size).logits
        sums = self._begin()
        if self.joined is not None:
            sums = self.joined
        else:
            for start, features in self._parts(vectors_of(train)):
                rows = slice(start, start + len(features))
                (sums.remove if self.forgets else sums.add)(features, train.targets[rows], self.digests[rows])
        self.sums = sums
        weights = self.weights(sums)
        held_out = np.concatenate([features @ weights for _, features in self._parts(vectors_of(validation))])
        factor = fitted_factor(held_out, validation.targets)
        self.head.kernel.assign((weights * factor).astype(np.float32))
        self.head.bias.assign(np.zeros(weights.shape[1], np.float32))
        return True

    def _begin(self) -> RidgeSums:
        labels, encoder = self.task.state["labels"], self._encoder()
        if self.before is None:
            sums = RidgeSums.empty(encoder, self.width)
        elif self.before.encoder != encoder:
            raise UserError(
                "model.preset: the sums of the earlier stages are of another encoder, and would mean nothing; keep "
                "model.preset, model.max_length, task.pooling and the seed as they were"
            )
        else:
            sums = copy.deepcopy(self.before)
        sums.grow(labels)
        return sums

    def _encoder(self) -> str:
        """Digest of all that makes features of a text's tokens."""
        config, digest = self.task.config, hashlib.sha256()
        digest.update(f"{config.model.max_length} {self.width}".encode())
        own = {id(variable) for variable in self.head.weights}
        for variable in self.model.weights:
            if id(variable) not in own:
                digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
        return digest.hexdigest()

    def _parts(self, vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(rows, hidden) -> the first row of each part of them, and its (part, width) float32 features."""
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            yield start, self.features(vectors[start : start + ROWS_AT_ONCE])

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The task's own, for the step that is traced and never run."""
        return self.task.loss_sum(targets, self.logits(inputs), weights)


class AnalyticObjective(SumsObjective):
    """Squared distance between a text's scores and its one-hot class, and ridge: see `RidgeSums.solve`.

    Args:
        model: with random features.
        task, sums, digests: see `SumsObjective`.
        ridge: see `RidgeSums.solve`.
    """

    def __init__(
        self, model: keras.Model, task: Task, sums: RidgeSums | None, digests: Sequence[str] = (), *, ridge: float
    ):
        super().__init__(model, task, sums, digests)
        layer = model.get_layer(RANDOM_FEATURES)
        self.ridge, self.width = ridge, layer.units
        self.vectors = keras.Model(model.input, layer.input)
        self.kernel = keras.ops.convert_to_numpy(layer.kernel)  # (hidden, width) float32

    def features(self, vectors: np.ndarray) -> np.ndarray:
        return np.maximum(vectors @ self.kernel, 0.0)

    def weights(self, sums: RidgeSums) -> np.ndarray:
        return sums.solve(self.ridge)


class PrototypesObjective(SumsObjective):
    """The direction of the mean of each class's unit vectors."""

    def __init__(self, model: keras.Model, task: Task, sums: RidgeSums | None, digests: Sequence[str] = ()):
        super().__init__(model, task, sums, digests)
        self.vectors = keras.Model(model.input, self.head.input)
        self.width = int(self.head.input.shape[-1])

    def features(self, vectors: np.ndarray) -> np.ndarray:
        return _units(vectors)

    def weights(self, sums: RidgeSums) -> np.ndarray:
        sizes = np.linalg.norm(sums.products, axis=0)  # (classes,) of one row 1; of a class that was forgotten rounding
        return _units(np.where(sizes < 1e-3, 0.0, sums.products).T).T


def _units(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def fitted_factor(scores: np.ndarray, targets: np.ndarray) -> float:
    """The factor, 1 to 1e4, that gives softmax(factor * scores) the smallest log loss.

    Args:
        scores: (rows, classes).
        targets: (rows,) classes.
    """
    from scipy.optimize import minimize_scalar  # half a second to import

    def log_loss(logarithm: float) -> float:
        logits = np.exp(logarithm) * (scores - scores.max(1, keepdims=True))
        truth = logits[np.arange(len(targets)), targets]
        return float(np.mean(np.log(np.exp(logits).sum(1)) - truth))

    found = minimize_scalar(log_loss, bounds=(0.0, np.log(LARGEST)), method="bounded", options={"xatol": 1e-10})
    return float(np.exp(found.x))
