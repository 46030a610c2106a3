"""A head that names the relation between two marked entities, for any KerasHub backbone."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

from kerasft.models.families import is_decoder
from kerasft.models.heads.pooling import Pooling
from kerasft.models.preprocessing.preprocessor import fitting_length, needed
from kerasft.models.preprocessing.relation_preprocessor import RelationPreprocessor, relation_preprocessor
from kerasft.models.presets.added_tokens import add_tokens
from kerasft.models.presets.layer_settings import hidden_dropout
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset

MARKERS = ("<e1>", "</e1>", "<e2>", "</e2>")


def build_relation_classifier(
    backbone: keras.Model, outputs: int, marker_ids: Sequence[int], dropout: float | None = None
) -> keras.Model:
    """Backbone -> plain Keras model that gives logits of relations.

    The first token's vector and those of both entities' opening markers ("entity start", Baldini Soares et al.
    2019, arXiv:1906.03158) go through a dense tanh layer and a dense layer, after R-BERT (Wu and He 2019,
    arXiv:1905.08284), which has the mean of each entity's tokens instead. In a decoder only later tokens have
    read an entity, so there it is the last token and the closing markers.

    Args:
        backbone: a KerasHub backbone with `token_ids` and `padding_mask` inputs.
        outputs: width of the logits.
        marker_ids: (4,) ids of the opening and closing marker of the first entity, then of the second.
        dropout: rate before both dense layers; None: the backbone's own.

    Returns:
        Functional model, the backbone's inputs -> (batch, outputs) float32.
    """
    inputs, hidden = backbone.input, backbone.output
    sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
    decoder = is_decoder(backbone)
    rate = hidden_dropout(backbone) if dropout is None else dropout
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    vectors = [Pooling("last" if decoder else "cls", name="text")(sequence, inputs["padding_mask"])]
    for name, marker in zip(("first_entity", "second_entity"), marker_ids[1::2] if decoder else marker_ids[::2]):
        vectors.append(TokenVector(marker, name=name)(sequence, inputs["token_ids"]))
    vector = keras.layers.Concatenate()(vectors)  # (batch, 3 * hidden)
    vector = keras.layers.Dropout(rate, name="pooler_dropout")(vector)
    vector = keras.layers.Dense(
        sequence.shape[-1], activation="tanh", kernel_initializer=initializer, name="relation_pooler"
    )(vector)
    vector = keras.layers.Dropout(rate, name="classifier_dropout")(vector)
    logits = keras.layers.Dense(outputs, kernel_initializer=initializer, dtype="float32", name="classifier")(vector)
    return keras.Model(inputs, logits, name="relation_classifier")


@keras.saving.register_keras_serializable(package="kerasft")
class TokenVector(keras.layers.Layer):
    """The vector at a token that stands once in each text; zeros in a text without it.

    Args:
        token_id: of the token whose vector is taken, such as an opening marker.
    """

    def __init__(self, token_id: int, **kwargs):
        super().__init__(**kwargs)
        self.token_id = token_id

    def call(self, sequence, token_ids):
        # a one-hot product, not a gather: it has a cheap gradient on every device
        mask = ops.cast(token_ids == self.token_id, sequence.dtype)
        return ops.einsum("bl,blh->bh", mask, sequence)  # (batch, length), (batch, length, hidden) -> (batch, hidden)

    def get_config(self):
        return {**super().get_config(), "token_id": self.token_id}


class RelationClassifier(keras.Model):
    """A backbone with logits of the relation between two marked entities, without the command line.

    A functional model: the backbone's inputs -> (batch, outputs) float32. To train one with `fit`, map a dataset of
    batches of (texts, labels) through `examples` and take a cross-entropy from logits.

    Args:
        backbone, outputs, marker_ids, dropout: see `build_relation_classifier`.
        preprocessor: marked texts -> inputs, for `examples` and `answer`.
    """

    def __init__(
        self,
        backbone: keras.Model,
        outputs: int,
        marker_ids: Sequence[int],
        dropout: float | None = None,
        preprocessor: RelationPreprocessor | None = None,
    ):
        built = build_relation_classifier(backbone, outputs, marker_ids, dropout)
        super().__init__(built.input, built.output, name="relation_classifier")
        self.preprocessor = preprocessor

    @classmethod
    def from_preset(
        cls,
        preset: str,
        outputs: int,
        max_length: int | None = None,
        markers: Sequence[str] = MARKERS,
        dropout: float | None = None,
        seed: int = 0,
    ) -> RelationClassifier:
        """A pre-trained backbone whose tokenizer knows the markers, with an untrained head.

        Args:
            preset: as `model.preset` in a config.
            outputs: relations.
            max_length: tokens of a text, special tokens included; None: 128, or the positions of a shorter backbone.
            markers: opening and closing marker of the first entity, then of the second.
            dropout: see `build_relation_classifier`.
            seed: of the markers' vectors.

        Raises:
            UserError: the preset can't be had, or does not fit.
        """
        resolved = resolve_preset(preset)
        backbone, tokenizer, ids = add_tokens(load_backbone(resolved), load_tokenizer(resolved), markers, seed)
        max_length = fitting_length(backbone, max_length, 128)
        preprocessor = relation_preprocessor(backbone, tokenizer, max_length, markers, ids)
        return cls(backbone, outputs, ids, dropout, preprocessor)

    def examples(self, texts: tf.Tensor, labels: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """(batch,) strings with markers, (batch,) -> the model's inputs and the labels; for `Dataset.map`."""
        return self._features(texts), labels

    def answer(self, texts: Sequence[str] | tf.Tensor) -> tf.Tensor:
        """(batch,) strings with markers -> (batch, outputs) probabilities."""
        return tf.nn.softmax(self(self._features(texts), training=False))

    def _features(self, texts: Sequence[str] | tf.Tensor) -> dict[str, tf.Tensor]:
        features = needed(self.preprocessor)({"text": tf.convert_to_tensor(texts, tf.string)})
        return {name: features[name] for name in self.input}
