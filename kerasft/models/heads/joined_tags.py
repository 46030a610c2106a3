"""How much the members of an ensemble of chains differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from kerasft.models.heads.crf import TagScores, iob2_rules, tag_probabilities
from kerasft.models.heads.entities import unit_logits
from kerasft.models.heads.joined_logits import apart_by
from kerasft.models.shapes import static_size


def disagreement_of_chains(
    members: Sequence[tf.Tensor],
    chains: Sequence[TagScores],
    weights: Sequence[float],
    features: Mapping[str, tf.Tensor],
) -> tf.Tensor:
    """(windows,) nats: of the unit of a text where the probabilities of tags, over all paths, differ most.

    Args:
        members: emissions of each, (windows, length, tags).
        chains: of each.
        weights: that sum to 1.
        features: those of a window preprocessor.
    """
    counts, tags = features["units"], static_size(members[0], 2)
    rules = iob2_rules((tags - 1) // 2)
    each = []
    for emissions, chain in zip(members, chains, strict=True):
        rows = tf.RaggedTensor.from_row_lengths(unit_logits(emissions, features), counts, validate=False)
        padded = rows.to_tensor(shape=[None, None, tags])  # (texts, units, tags)
        scores = (tf.constant(rule) + tf.convert_to_tensor(own) for rule, own in zip(rules, chain_parts(chain)))
        each.append(tag_probabilities(padded, tf.cast(counts, tf.int32), *scores))
    apart = apart_by([tf.pad(p, [[0, 0], [0, 1], [0, 0]]) for p in each], weights)  # a text may have no unit
    return tf.repeat(apart, features["windows"])


def chain_parts(chain: TagScores) -> tuple:
    """In the order of `iob2_rules`."""
    return chain.transitions, chain.start
