"""How alike the attention relations of two models are (MiniLMv2, Wang et al. 2020, arXiv:2012.15828).

The queries of all tokens are compared with each other, and so are keys and values: the softmax of their products, for
each relation head. The distance of two models is the divergence of these, in the highest transformer layer. Widths
and numbers of heads may differ: both are cut into the same number of relation heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from kerasft.data.prepared.beside import for_model
from kerasft.errors import UserError
from kerasft.models.layer_classes import own_class

KINDS = ("_query_dense", "_key_dense", "_value_dense")
NOTHING = -1e9  # a logit of padding


class Relations:
    """The highest transformer layer of a model.

    Args:
        model: features -> ..., on a backbone of KerasHub's encoder layers with normalisation behind them (BERT,
            RoBERTa, DistilBERT and their kin).

    Raises:
        UserError: its layers are of another kind.

    Attributes:
        vectors: what the layer reads, in the graph of the model.
        width: of the queries of all heads together.
        heads: of its attention.
        inputs: names of what the model reads.
    """

    def __init__(self, model: keras.Model):
        layers = [layer for layer in model._flatten_layers() if own_class(layer) is keras_hub.layers.TransformerEncoder]
        if not layers or layers[-1].normalize_first:
            raise UserError(
                "training.objective.relations: is for encoders such as BERT, RoBERTa and DistilBERT, and this model is "
                "none; set it to 0"
            )
        self._attention = layers[-1]._self_attention_layer
        self.vectors = keras.tree.flatten(layers[-1].input)[0]  # beside it, the mask of padding
        heads, size = self._attention.num_heads, self._attention.key_dim
        self.width, self.heads = heads * size, heads
        self.inputs = {tensor.name for tensor in model.inputs}

    def logits(self, vectors: tf.Tensor, heads: int) -> list[tf.Tensor]:
        """(batch, tokens, width) -> (batch, heads, tokens, tokens) of queries, of keys and of values."""
        return [_products(getattr(self._attention, name)(vectors), self.width, heads) for name in KINDS]


def _products(values: tf.Tensor, width: int, heads: int) -> tf.Tensor:
    """(batch, tokens, heads of the model, ...) -> (batch, relation heads, tokens, tokens)."""
    sizes = tf.shape(values)
    size = width // heads
    split = tf.transpose(tf.reshape(tf.cast(values, tf.float32), [sizes[0], sizes[1], heads, size]), [0, 2, 1, 3])
    return tf.matmul(split, split, transpose_b=True) / math.sqrt(size)


class Teacher:
    """A teacher's relations, computed in each step.

    Args:
        model: the teacher; it reads the tokens that the student does.
        weight: of their distance in a loss.
    """

    def __init__(self, model: keras.Model, weight: float = 1.0):
        self.relations, self.weight = Relations(model), weight
        self._vectors = keras.Model(model.inputs, self.relations.vectors)
        self._vectors.trainable = False

    def shared_heads(self, student: Relations) -> int:
        """Relation heads of both. Raises UserError: widths or inputs of student and teacher don't fit together."""
        if missing := sorted(self.relations.inputs - student.inputs):
            raise UserError(
                f"training.objective.relations: the teacher reads {missing[0]}, which the student has not; use a "
                "student of the teacher's family, or set it to 0"
            )
        if student.width % self.relations.heads:
            raise UserError(
                f"training.objective.relations: the teacher has {self.relations.heads} heads, and {student.width}, the "
                "width of the student's queries, is no multiple of it; use another student, or set it to 0"
            )
        return self.relations.heads

    def distance(self, student: Relations, vectors: tf.Tensor, inputs: Mapping[str, Any]) -> tf.Tensor:
        """(batch,) mean divergence of the student's relations from the teacher's, over heads, tokens and three kinds.

        Args:
            student: of the same tokens.
            vectors: (batch, tokens, width) that the student's highest layer reads.
            inputs: features of the batch.
        """
        heads, read = self.shared_heads(student), for_model(inputs)
        mask = tf.cast(read["padding_mask"], tf.float32)  # (batch, tokens)
        off = (1.0 - mask)[:, None, None, :] * NOTHING
        theirs = self.relations.logits(tf.stop_gradient(self._vectors(read, training=False)), heads)
        each = [_divergence(tf.stop_gradient(t) + off, s + off) for t, s in zip(theirs, student.logits(vectors, heads))]
        of_tokens = tf.reduce_mean(tf.add_n(each) / len(KINDS), 1)  # (batch, tokens)
        return tf.math.divide_no_nan(tf.reduce_sum(of_tokens * mask, 1), tf.reduce_sum(mask, 1))


def _divergence(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """(..., tokens) logits twice -> (...) KL(teacher, student)."""
    truth = tf.nn.log_softmax(teacher)
    return tf.reduce_sum(tf.exp(truth) * (truth - tf.nn.log_softmax(student)), -1)
