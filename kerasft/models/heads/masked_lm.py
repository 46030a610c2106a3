"""A masked language model: an encoder with a head that names the tokens which were hidden."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import keras_hub
import numpy as np
import pyarrow as pa
import tensorflow as tf

from kerasft.data.batching.batching import steps_per_epoch
from kerasft.data.prepared.masked_rows import MaskedRows, prepare_masked_rows
from kerasft.data.prepared.masking import Masking
from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.data.tables.table import Table
from kerasft.models.preprocessing.masked_lm_preprocessor import MaskedLMPreprocessor, masked_lm_preprocessor
from kerasft.models.preprocessing.preprocessor import fitting_length, needed
from kerasft.models.presets.layer_settings import head_settings
from kerasft.models.presets.masked_lm_weights import HEAD, load_head
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset
from kerasft.models.shapes import static_size
from kerasft.models.tokenizers.vocabulary import Vocabulary

MEASURED = 5  # most likely tokens that an evaluation keeps


class MaskedLM(keras.Model):
    """BERT's masked language model, Devlin et al. 2018, arXiv:1810.04805, over any encoder with a token embedding.

    Call it with the backbone's inputs and `mask_positions` (batch, masks) -> (batch, masks, vocabulary) float32
    logits: they are made for the hidden tokens alone. The output layer is the token embedding (Press and Wolf 2016,
    arXiv:1608.05859).

    Args:
        backbone: a KerasHub encoder.
        preprocessor: of strings, for `batches`.
    """

    def __init__(self, backbone: keras.Model, preprocessor: MaskedLMPreprocessor | None = None, **kwargs):
        hidden = backbone.output
        sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
        positions = keras.Input((None,), dtype="int32", name="mask_positions")
        head = keras_hub.layers.MaskedLMHead(
            token_embedding=backbone.token_embedding,
            **head_settings(backbone),
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            # Under a mixed policy KerasHub (0.25 to 0.32) fails where it adds the bias, and a loss over a vocabulary
            # wants more digits than bfloat16 has. The product with the embedding table keeps the backbone's policy.
            dtype="float32",
            name=HEAD,
        )
        logits = head(sequence, positions)
        super().__init__({**backbone.input, "mask_positions": positions}, logits, **kwargs)
        # Not the backbone: what of it the head does not read, BERT's pooler, would be a weight without a gradient.
        self.preprocessor = preprocessor

    @classmethod
    def from_preset(cls, preset: str, max_length: int | None = None) -> MaskedLM:
        """A model from a pre-trained backbone, with the head's weights where the preset has them.

        Args:
            preset: as `model.preset` in a config.
            max_length: tokens of a row, special tokens included; None: 128, or the positions of a shorter backbone.

        Raises:
            UserError: the preset can't be had, or has no mask token.
        """
        resolved = resolve_preset(preset)
        backbone = load_backbone(resolved)
        max_length = fitting_length(backbone, max_length, 128)
        model = cls(backbone, masked_lm_preprocessor(backbone, load_tokenizer(resolved), max_length))
        load_head(model, resolved)
        return model

    def batches(
        self,
        texts: Sequence[str],
        batch_size: int = 32,
        probability: float = 0.15,
        whole_word: bool = False,
        across: bool = True,
        seed: int = 0,
    ) -> MaskedBatches:
        """Texts -> what `fit` takes: full rows, in which other tokens are hidden in every epoch.

        Args:
            texts: documents.
            batch_size: rows a batch.
            probability, whole_word, seed: see `kerasft.data.prepared.masking.Masking`.
            across: whether rows go on across documents.
        """
        table = Table.from_rows(({"text": text} for text in texts), pa.schema([("text", pa.large_string())]))
        preprocessor = needed(self.preprocessor)
        masking = masking_of(preprocessor, probability, whole_word, seed)
        return MaskedBatches(prepare_masked_rows(table, preprocessor, masking, across), batch_size)


class MaskedBatches(keras.utils.PyDataset):
    """Rows for `fit`: (features, targets, weights), where `masked_lm_loss` with weights of 1 or 0 is the mean loss."""

    def __init__(self, rows: MaskedRows, batch_size: int, **kwargs):
        super().__init__(**kwargs)
        self.rows, self.batch_size, self.epoch = rows, batch_size, 0

    def __len__(self) -> int:
        return steps_per_epoch(len(self.rows), self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        order = np.random.default_rng([self.rows.masking.seed, self.epoch]).permutation(len(self.rows))
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        features, targets, _ = self.rows.at_step(self.epoch * len(self) + index).batch(rows)
        hidden = targets != NO_TARGET
        return features, np.where(hidden, targets, 0), hidden.astype(np.float32)

    def on_epoch_end(self) -> None:
        self.epoch += 1


def masking_of(preprocessor: MaskedLMPreprocessor, probability: float, whole_word: bool, seed: int) -> Masking:
    """The masking of a preprocessor's tokens."""
    vocabulary = preprocessor.vocabulary
    return Masking(probability, whole_word, vocabulary.mask_id, vocabulary.ordinary, seed)


def masked_lm_loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of a row's hidden tokens.

    Args:
        targets: (batch, masks) int32 true ids, or negative: none.
        logits: (batch, masks, vocabulary).

    Returns:
        (batch,) nats, 0 for a row without hidden tokens.
    """
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), logits)
    real = tf.cast(targets >= 0, logits.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(each * real, 1), tf.reduce_sum(real, 1))


def condense(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """(batch, masks), (batch, masks, vocabulary) -> (batch, masks, 1 + 2 * MEASURED) float32.

    The true token's log-probability, the log-probabilities of the likeliest tokens, and their ids, which float32
    holds exactly below 2 ** 24.
    """
    log_probabilities = tf.nn.log_softmax(logits)
    true = tf.gather(log_probabilities, tf.maximum(targets, 0), axis=2, batch_dims=2)  # (batch, masks)
    best, ids = tf.math.top_k(log_probabilities, min(MEASURED, static_size(logits, -1)))
    return tf.concat([true[..., tf.newaxis], best, tf.cast(ids, tf.float32)], axis=2)


def fill(logits: tf.Tensor, masks: tf.Tensor, vocabulary: Vocabulary, top: int) -> dict[str, tf.Tensor]:
    """The likeliest ordinary tokens for each mask.

    Args:
        logits: (batch, masks, vocabulary).
        masks: (batch,) how many masks a text has.
        vocabulary: names the tokens.
        top: tokens a mask.

    Returns:
        `fills` (batch, masks, top) strings, "" where a text has no more masks, and `scores`, their probabilities among
        ordinary tokens.
    """
    # An embedding table may be longer than the vocabulary.
    width, size = static_size(logits, -1), len(vocabulary.tokens)
    ordinary = tf.constant([*vocabulary.ordinary.tolist(), *[False] * (width - size)])
    names = tf.constant([*vocabulary.tokens, *[""] * (width - size)])
    best, ids = tf.math.top_k(tf.nn.softmax(tf.where(ordinary, logits, logits.dtype.min)), min(top, width))
    real = tf.sequence_mask(masks, tf.shape(logits)[1])[..., tf.newaxis]  # (batch, masks, 1)
    return {"fills": tf.where(real, tf.gather(names, ids), ""), "scores": tf.where(real, best, 0.0)}
