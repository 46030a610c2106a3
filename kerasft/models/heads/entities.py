"""Logits of units -> entities with offsets into the text, in graph, the same for evaluation and serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from kerasft.models.heads.crf import TagScores, best_tags, iob2_rules, tag_probabilities


class Entities(NamedTuple):
    """Entities of a batch of texts, row after row.

    Attributes:
        counts: (batch,) int32 entities of each text.
        starts, ends: (entities,) int32 code points.
        types: (entities,) int32 number of the type.
        scores: (entities,) float32, the mean probability of the tags it was read from.
    """

    counts: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    types: tf.Tensor
    scores: tf.Tensor


def find_entities(
    logits: tf.Tensor, counts: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor, types: int, chain: TagScores | None
) -> Entities:
    """The entities of the best well-formed IOB2 sequence of tags of each text.

    Args:
        logits: (all units, 1 + 2 * types) float32: O, then B and I of each type.
        counts: (batch,) units of each text.
        starts, ends: (all units,) int32 code points.
        types: how many there are.
        chain: learnt transitions, or None: only what IOB2 forbids.
    """
    transitions, start = (tf.constant(rules) for rules in iob2_rules(types))
    lengths = tf.cast(counts, tf.int32)
    scores = logits if chain is not None else tf.nn.log_softmax(logits)
    rows = tf.RaggedTensor.from_row_lengths(scores, counts, validate=False)
    padded = rows.to_tensor(shape=[None, None, 1 + 2 * types])  # (batch, units, tags)
    if chain is not None:
        transitions += tf.convert_to_tensor(chain.transitions)
        start += tf.convert_to_tensor(chain.start)
        probabilities = tag_probabilities(padded, lengths, transitions, start)
    else:
        probabilities = tf.exp(padded)
    tags = best_tags(padded, lengths, transitions, start)
    real = tf.sequence_mask(lengths, tf.shape(padded)[1])
    flat = tf.boolean_mask(tags, real)  # (all units,)
    probability = tf.boolean_mask(tf.gather(probabilities, tags, batch_dims=2), real)
    opens = flat % 2 == 1  # B of any type
    inside = flat > 0
    entity = tf.boolean_mask(tf.cumsum(tf.cast(opens, tf.int32)) - 1, inside)
    number = tf.reduce_sum(tf.cast(opens, tf.int32))
    opened = tf.RaggedTensor.from_row_lengths(tf.cast(opens, tf.int32), counts, validate=False)
    return Entities(
        counts=tf.reduce_sum(opened, axis=1),
        starts=tf.boolean_mask(starts, opens),
        ends=tf.math.unsorted_segment_max(tf.boolean_mask(ends, inside), entity, number),
        types=(tf.boolean_mask(flat, opens) - 1) // 2,
        scores=tf.math.unsorted_segment_mean(tf.boolean_mask(probability, inside), entity, number),
    )


def unit_logits(logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """(windows, length, tags) -> (all units, tags): each unit's from the window that answers for its first token."""
    return tf.boolean_mask(logits, features["owned"] & (features["unit"] >= 0))


def answers(entities: Entities, texts: tf.Tensor, labels: Sequence[str]) -> dict[str, tf.Tensor]:
    """Entities as a server answers them: (batch, most entities of a text) padded with "" and 0, and their number.

    Args:
        entities: of the batch.
        texts: (batch,) valid UTF-8.
        labels: names of the types.
    """
    rows = tf.repeat(texts, entities.counts)
    names = tf.gather(tf.constant(list(labels)), entities.types)
    flat = {
        "entities": tf.strings.substr(rows, entities.starts, entities.ends - entities.starts, "UTF8_CHAR"),
        "types": names,
        "starts": entities.starts,
        "ends": entities.ends,
        "scores": entities.scores,
    }
    padded = {
        name: tf.RaggedTensor.from_row_lengths(values, entities.counts, validate=False).to_tensor()
        for name, values in flat.items()
    }
    return padded | {"count": entities.counts}
