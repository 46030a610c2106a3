"""What an embedder is trained with: losses of a batch of examples whose texts are unit vectors.

Each takes (batch, texts, hidden) vectors and answers (batch,) losses. Under a `tf.distribute` strategy an example is
compared with those of all replicas, so that any number of replicas minimises the same thing.
"""

from __future__ import annotations

import tensorflow as tf

from kerasft.models.shapes import static_size

NEVER = -1e9  # a logit whose exponential is 0, with a gradient that is a number


def contrastive_loss(ids: tf.Tensor, vectors: tf.Tensor, weights: tf.Tensor, temperature: float) -> tf.Tensor:
    """InfoNCE with in-batch negatives: which text of the batch belongs to this one?

    Van den Oord et al. 2018, arXiv:1807.03748; Henderson et al. 2017, arXiv:1705.00652. An example is a text, the
    text that belongs to it and, where there is a third, one that does not. All second and third texts of the batch
    are candidates, except those known to be no negatives: the same text as the example's own first or second, and
    the second text of an example whose first is the same.

    Args:
        ids: (batch, texts) int64, equal where texts are equal.
        vectors: (batch, 2 or 3, hidden) float32 unit vectors.
        weights: (batch,); 0 marks an example that only fills the batch up and is no candidate.
        temperature: cosines are divided by it.
    """
    all_ids, all_vectors, all_weights = of_all_replicas(ids), of_all_replicas(vectors), of_all_replicas(weights)
    query, own = vectors[:, 0], tf.reduce_sum(vectors[:, 0] * vectors[:, 1], -1) / temperature
    same_query = ids[:, :1] == all_ids[None, :, 0]  # (batch, all)
    logits = [own[:, None]]  # (batch, 1); those of each other text follow, (batch, all)
    for text in range(1, static_size(vectors, 1)):
        candidates = all_ids[None, :, text]  # (1, all)
        masked = (candidates == ids[:, :1]) | (candidates == ids[:, 1:2]) | (all_weights == 0)[None]
        if text == 1:
            masked |= same_query
        cosines = tf.matmul(query, all_vectors[:, text], transpose_b=True)  # (batch, hidden), (all, hidden)
        logits.append(tf.where(masked, NEVER, cosines / temperature))
    return tf.reduce_logsumexp(tf.concat(logits, 1), -1) - own  # (batch, 1 + all * (texts - 1)) -> (batch,)


def cosent_loss(scores: tf.Tensor, vectors: tf.Tensor, weights: tf.Tensor, temperature: float) -> tf.Tensor:
    """CoSENT: the pair with the higher score shall have the higher cosine, for all two pairs of the batch.

    Su 2022, https://kexue.fm/archives/8847: log(1 + sum of exp((cosine of j - cosine of i) / temperature)) over all
    i and j with score of i > score of j. It reads the order of the scores alone, as Spearman's correlation does. The
    batch has one loss; each example answers it.

    Args:
        scores: (batch,) how alike the two texts are, on any scale.
        vectors, weights, temperature: as in `contrastive_loss`, of 2 texts.
    """
    cosines = of_all_replicas(cosines_of_pairs(vectors)) / temperature
    scores, real = of_all_replicas(scores), of_all_replicas(weights) > 0
    ordered = (scores[:, None] > scores[None]) & real[:, None] & real[None]  # (all, all)
    gaps = tf.where(ordered, cosines[None] - cosines[:, None], NEVER)
    loss = tf.reduce_logsumexp(tf.concat([[0.0], tf.reshape(gaps, [-1])], 0))  # (1 + all * all,) -> ()
    return tf.fill(tf.shape(weights), loss)


def cosine_loss(similarities: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """Squared error of the cosine (Reimers and Gurevych 2019, arXiv:1908.10084).

    Args:
        similarities: (batch,) what the cosine shall be, -1 to 1.
        vectors: (batch, 2, hidden) float32 unit vectors.
    """
    return tf.square(cosines_of_pairs(vectors) - similarities)


def cosines_of_pairs(vectors: tf.Tensor) -> tf.Tensor:
    """(batch, 2, hidden) unit vectors -> (batch,)."""
    return tf.reduce_sum(vectors[:, 0] * vectors[:, 1], -1)


def of_all_replicas(tensor: tf.Tensor) -> tf.Tensor:
    """(batch, ...) of this replica -> (replicas * batch, ...), differentiable; itself where there is one replica."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensor
    return context.all_gather(tensor, axis=0)
