"""A head that gives each token its logits, for any KerasHub encoder or decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasft.models.heads.crf import Chain
from kerasft.models.heads.entities import answers, find_entities, unit_logits
from kerasft.models.heads.tag_loss import chain_loss, tag_loss
from kerasft.models.preprocessing.preprocessor import fitting_length, needed
from kerasft.models.preprocessing.units import Kind
from kerasft.models.preprocessing.window_preprocessor import WindowPreprocessor, window_preprocessor
from kerasft.models.presets.layer_settings import hidden_dropout
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset


def build_token_classifier(
    backbone: keras.Model, outputs: int, dropout: float | None = None, crf: bool = False
) -> tuple[keras.Model, Chain | None]:
    """Backbone -> plain Keras model that gives logits for each token (Devlin et al. 2018, arXiv:1810.04805, 5.3).

    Args:
        backbone: a KerasHub backbone with `token_ids` and `padding_mask`.
        outputs: width of the logits.
        dropout: rate before the last layer; None: the backbone's own.
        crf: put a linear chain over the logits (Lample et al. 2016, arXiv:1603.01360).

    Returns:
        Functional model, the backbone's inputs -> (batch, length, outputs) float32, and the chain where there is one.
    """
    hidden = backbone.output  # a tensor, or BERT's pair of sequence and pooled output
    sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
    rate = hidden_dropout(backbone) if dropout is None else dropout
    sequence = keras.layers.Dropout(rate, name="classifier_dropout")(sequence)
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    dense = keras.layers.Dense(outputs, kernel_initializer=initializer, dtype="float32", name="classifier")
    logits = dense(sequence)
    chain = Chain(name="chain", dtype="float32") if crf else None
    if chain is not None:
        logits = chain(logits)
    return keras.Model(backbone.input, logits, name="token_classifier"), chain


class TokenClassifier(keras.Model):
    """A backbone with logits for the IOB2 tags of each token, without the command line.

    A functional model: the backbone's inputs -> (windows, length, 1 + 2 * labels) float32: O, then B and I of each
    label. To train one with `fit`, map a dataset of batches of {text, tags} through `examples` and take `token_loss`.

    Args:
        backbone: a KerasHub backbone with `token_ids` and `padding_mask`.
        labels: names of the types of entity.
        dropout, crf: see `build_token_classifier`.
        preprocessor: strings -> windows, for `examples` and `answer`.
    """

    def __init__(
        self,
        backbone: keras.Model,
        labels: Sequence[str],
        dropout: float | None = None,
        crf: bool = False,
        preprocessor: WindowPreprocessor | None = None,
    ):
        built, chain = build_token_classifier(backbone, 1 + 2 * len(labels), dropout, crf)
        super().__init__(built.input, built.output, name="token_classifier")
        self.labels, self.chain, self.preprocessor = list(labels), chain, preprocessor

    @classmethod
    def from_preset(
        cls,
        preset: str,
        labels: Sequence[str],
        max_length: int | None = None,
        stride: int | None = None,
        units: Kind = "spaces",
        dropout: float | None = None,
        crf: bool = False,
    ) -> TokenClassifier:
        """A pre-trained backbone with an untrained head.

        Args:
            preset: as `model.preset` in a config.
            labels: names of the types of entity.
            max_length: tokens of a window, special tokens included; None: 128, or the positions of a shorter backbone.
            stride: tokens that neighbouring windows share; None: 32, or a quarter of a shorter window.
            units: what gets a tag; `spaces`: what stands between white space.
            dropout, crf: see `build_token_classifier`.

        Raises:
            UserError: the preset can't be had, or does not fit.
        """
        resolved = resolve_preset(preset)
        backbone, tokenizer = load_backbone(resolved), load_tokenizer(resolved)
        max_length = fitting_length(backbone, max_length, 128)
        stride = min(32, max_length // 4) if stride is None else stride
        preprocessor = window_preprocessor(backbone, tokenizer, max_length, stride, units)
        return cls(backbone, labels, dropout, crf, preprocessor)

    def examples(self, rows: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """What the model learns from; eagerly or in `Dataset.map`.

        Args:
            rows: `text` (batch,) strings; `tags` (batch, units of each text) ragged int32: 0 for O, 1 + 2 * label for
                B, 2 + 2 * label for I.

        Returns:
            The model's inputs, and targets (windows, length) int32, -1 where a token opens no unit.

        Raises:
            tf.errors.InvalidArgumentError: a text has another number of units than tags.
        """
        features, tags = needed(self.preprocessor)({"text": rows["text"]}), rows["tags"]
        tf.debugging.assert_equal(features["units"], tags.row_lengths(), "a text has as many tags as units")
        text_of_window = tf.repeat(tf.range(tags.nrows()), features["windows"])
        unit = tf.gather(tags.row_starts(), text_of_window)[:, None] + tf.cast(features["unit"], tf.int64)
        opens = features["unit"] >= 0
        flat = tf.concat([tf.cast(tags.flat_values, tf.int32), [-1]], 0)  # the last one stands for no unit
        targets = tf.gather(flat, tf.where(opens, unit, tf.size(flat, tf.int64) - 1))
        return {name: features[name] for name in self.input}, targets

    def token_loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """(windows, length), (windows, length, tags) -> (windows,): `tag_loss`, or `chain_loss` with a chain."""
        targets = tf.cast(targets, tf.int32)  # Keras hands over the type of the logits
        return tag_loss(targets, logits) if self.chain is None else chain_loss(targets, logits, self.chain)

    def answer(self, texts: Sequence[str] | tf.Tensor) -> dict[str, tf.Tensor]:
        """(batch,) strings -> what `entities.answers` gives: entities with offsets in code points."""
        features = needed(self.preprocessor)({"text": tf.convert_to_tensor(texts, tf.string)})
        logits = unit_logits(self({name: features[name] for name in self.input}, training=False), features)
        units, starts, ends = features["units"], features["unit_starts"], features["unit_ends"]
        entities = find_entities(logits, units, starts, ends, len(self.labels), self.chain)
        return answers(entities, features["texts"], self.labels)
