"""The loss of a tagger whose rows were labelled for some of its types alone (Monaikul et al., AAAI 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.data.prepared.token_windows import PreparedWindows
from kerasft.evaluation.evaluate import Evaluator
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective


class PartialTypes(Objective):
    """Cross-entropy, in which "no entity" says nothing of types that a row was not labelled for.

    A token with a type counts as ever. A token without one may still be of a type that nobody labelled in its row:

    - Of the types that the model knew before the stage, its own answer then is the target (ExtendNER, Monaikul et al.
      2021): the probabilities of their tags. Those of types that the row was labelled for go to "no entity".
    - Of the types that are new in the stage nobody knows: in a row that was not labelled for them the probability of
      "no entity" is the sum of its own and theirs (unbiased cross-entropy, Cermelli et al. 2020, arXiv:2002.00718).

    Args:
        model: features -> (batch, length, tags), as the stage starts.
        task: of the run.
        labelled: (rows of the table, old types) whether the row was labelled for the type.
        own: (rows of the table,) whether it was labelled for the new types.
        strength: weight of tokens without a type.
        temperature: T that their logits are divided by; T squared multiplies their loss.
    """

    def __init__(
        self,
        model: keras.Model,
        task: Task,
        *,
        labelled: np.ndarray,
        own: np.ndarray,
        strength: float = 1.0,
        temperature: float = 1.0,
    ):
        super().__init__(model, task)
        self.labelled, self.own, self.strength, self.temperature = labelled, own, strength, temperature
        self.old = 1 + 2 * labelled.shape[1]  # tags: none, then two of each type

    def beside_targets(self, train: Prepared) -> Mapping[str, np.ndarray]:
        assert isinstance(train, PreparedWindows)  # of a tagger
        size = self.task.config.training.evaluation_batch_size
        logits = Evaluator(self.model, tf.distribute.get_strategy(), size).logits(train)[:, : self.old]
        shifted = np.exp((logits - logits.max(-1, keepdims=True)) / self.temperature)
        answers = shifted / shifted.sum(-1, keepdims=True)  # (tokens, old tags)
        text_of_window = np.repeat(np.arange(train.texts), train.windows)
        text_of_token = np.repeat(text_of_window, np.diff(train.offsets))
        known = np.repeat(self.labelled, 2, axis=1)[text_of_token]  # (tokens, old tags - 1)
        answers[:, 0] += (answers[:, 1:] * known).sum(-1)
        answers[:, 1:] *= ~known
        return {"answers": answers, "open": ~self.own[text_of_token]}

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(self.logits(inputs), tf.float32)  # (batch, length, tags)
        answers, unknown = self.beside(inputs, "answers"), self.beside(inputs, "open")
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), logits)
        likely = tf.nn.log_softmax(logits / self.temperature)
        hidden = tf.where(unknown > 0, tf.reduce_logsumexp(likely[..., self.old :], -1), likely.dtype.min)
        none = tf.reduce_logsumexp(tf.stack([likely[..., 0], hidden], -1), -1)  # (batch, length)
        soft = -(answers[..., 0] * none + tf.reduce_sum(answers[..., 1:] * likely[..., 1 : self.old], -1))
        each = tf.where(targets > 0, hard, self.strength * self.temperature**2 * soft)
        real = tf.cast(targets >= 0, tf.float32)
        losses = tf.math.divide_no_nan(tf.reduce_sum(each * real, 1), tf.reduce_sum(real, 1))
        return tf.reduce_sum(losses * weights)
