"""Texts -> unit vectors, from any KerasHub backbone: the cosine of two of them says how alike the texts are."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops

from kerasft.errors import UserError
from kerasft.models.families import is_decoder
from kerasft.models.heads.pooling import Pooling
from kerasft.models.preprocessing.preprocessor import TextPreprocessor, fitting_length, needed, text_preprocessor
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset


class TextEmbedder(keras.Model):
    """A backbone, its token vectors pooled to one vector a text and scaled to length 1.

    Sentence-BERT, Reimers and Gurevych 2019, arXiv:1908.10084. It has no weights of its own: a backbone that was
    trained this way answers at once. To train one with `fit`, map a dataset of (batch, texts) strings through
    `preprocess` and take a loss of `kerasft.models.heads.embedding_losses`.

    Call it with the backbone's inputs, (batch, length) -> (batch, hidden) float32, or with several texts an example,
    (batch, texts, length) -> (batch, texts, hidden): the backbone then runs once over all batch * texts rows.

    Args:
        backbone: a KerasHub backbone with a `padding_mask` input.
        pooling: `mean` of all tokens, or `cls`, the first token.
        preprocessor: strings -> the backbone's inputs, for `preprocess`.

    Raises:
        UserError: `cls` with a decoder, whose first token has read nothing else.
    """

    def __init__(
        self, backbone: keras.Model, pooling: str = "mean", preprocessor: TextPreprocessor | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        if pooling == "cls" and is_decoder(backbone):
            raise UserError(
                f"task.pooling: cls, but the first token of a {type(backbone).__name__} has not read the others; "
                "use mean"
            )
        hidden = backbone.output
        sequence = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
        # float32 under every policy: bfloat16 tells cosines apart to two digits only
        vector = Pooling(pooling, dtype="float32", name="pooling")(sequence, backbone.input["padding_mask"])
        vector = keras.layers.UnitNormalization(dtype="float32", name="unit")(vector)
        self.encoder = keras.Model(backbone.input, vector, name="encoder")
        self.preprocessor = preprocessor
        self.built = True

    @classmethod
    def from_preset(cls, preset: str, pooling: str = "mean", max_length: int | None = None) -> TextEmbedder:
        """An embedder from a pre-trained backbone.

        Args:
            preset: as `model.preset` in a config.
            pooling: see the class.
            max_length: tokens a text is cut to, special tokens included; None: 128, or the positions of a shorter
                backbone.

        Raises:
            UserError: the preset can't be had, or does not fit.
        """
        resolved = resolve_preset(preset)
        backbone = load_backbone(resolved)
        max_length = fitting_length(backbone, max_length, 128)
        return cls(backbone, pooling, text_preprocessor(backbone, load_tokenizer(resolved), max_length))

    def preprocess(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """(batch,) or (batch, texts) strings -> what the model is called with; eagerly or in `Dataset.map`."""
        texts = tf.convert_to_tensor(texts)
        features = needed(self.preprocessor)({"text": tf.reshape(texts, [-1])})  # one axis, or two as one
        if texts.shape.rank == 1:
            return features
        count = texts.shape[1]  # (batch * texts, length) -> (batch, texts, length)
        return {name: tf.reshape(value, [-1, count, tf.shape(value)[1]]) for name, value in features.items()}

    def call(self, inputs, training=None):
        shape = ops.shape(inputs["token_ids"])
        if len(shape) == 2:
            return self.encoder(inputs, training=training)
        # (batch, texts, length) -> (batch * texts, length) -> (batch, texts, hidden)
        rows = {name: ops.reshape(value, (-1, shape[2])) for name, value in inputs.items()}
        vectors = self.encoder(rows, training=training)
        return ops.reshape(vectors, (-1, shape[1], vectors.shape[-1]))
