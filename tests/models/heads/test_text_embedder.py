"""The embedder pools, scales and groups texts as it says, and trains with Keras' own `fit`."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.heads.embedding_losses import cosine_loss
from kerasft.models.heads.text_embedder import TextEmbedder

TEXTS = ["goal", "bank of the market", "match team score coach goal match"]


def one_by_one(embedder, texts=TEXTS):
    return np.concatenate([embedder(embedder.preprocess([text])) for text in texts])


def test_mean_pooling_leaves_padding_out(tiny_preset):
    embedder = TextEmbedder.from_preset(str(tiny_preset), max_length=16)
    features = embedder.preprocess(TEXTS)
    assert features["token_ids"].shape == (3, 8)
    backbone = keras_hub.models.Backbone.from_preset(str(tiny_preset))
    sequence = backbone(features)["sequence_output"].numpy()
    for row, vector in enumerate(embedder(features).numpy()):
        mean = sequence[row, features["padding_mask"][row].numpy().astype(bool)].mean(0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(embedder(features), one_by_one(embedder), atol=1e-6)


def test_cls_pooling_is_the_first_token(tiny_preset):
    embedder = TextEmbedder.from_preset(str(tiny_preset), "cls", max_length=16)
    features = embedder.preprocess(TEXTS)
    first = keras_hub.models.Backbone.from_preset(str(tiny_preset))(features)["sequence_output"][:, 0].numpy()
    np.testing.assert_allclose(embedder(features), first / np.linalg.norm(first, axis=-1, keepdims=True), atol=1e-6)


def test_texts_of_an_example_are_embedded_each_by_itself(tiny_preset):
    embedder = TextEmbedder.from_preset(str(tiny_preset), max_length=16)
    pairs = embedder.preprocess([[TEXTS[0], TEXTS[1]], [TEXTS[2], TEXTS[0]]])
    assert pairs["token_ids"].shape == (2, 2, 8)
    vectors = embedder(pairs).numpy()
    alone = one_by_one(embedder)
    np.testing.assert_allclose(vectors, alone[[[0, 1], [2, 0]]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-6)


def test_strings_need_a_preprocessor(tiny_bert):
    with pytest.raises(ValueError, match="made without a preprocessor; make it by from_preset"):
        TextEmbedder(tiny_bert()).preprocess(TEXTS)


def test_vectors_are_float32_where_the_backbone_is_not(tiny_bert):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        embedder = TextEmbedder(tiny_bert())
    finally:
        keras.config.set_dtype_policy("float32")
    ids = tf.constant([[5, 6, 7, 0]])
    vectors = embedder({"token_ids": ids, "padding_mask": tf.cast(ids > 0, tf.int32), "segment_ids": ids * 0})
    assert vectors.dtype == tf.float32
    assert np.linalg.norm(vectors) == pytest.approx(1, abs=1e-6)


def test_the_first_token_of_a_decoder_is_refused():
    decoder = keras_hub.models.GPT2Backbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=16
    )
    with pytest.raises(UserError, match="task.pooling: cls.*use mean"):
        TextEmbedder(decoder, "cls")
    ids = tf.constant([[5, 6, 0], [5, 0, 0]])
    assert TextEmbedder(decoder)({"token_ids": ids, "padding_mask": ids > 0}).shape == (2, 8)


@pytest.mark.long
def test_it_trains_with_fit(tiny_preset):
    embedder = TextEmbedder.from_preset(str(tiny_preset), max_length=16)
    pairs = tf.constant(
        [["goal match", "score team"], ["bank price", "coach goal"], ["trade", "market"], ["a", "stock"]]
    )
    wanted = tf.constant([1.0, 0.0, 1.0, 0.0])
    data = tf.data.Dataset.from_tensor_slices((pairs, wanted)).batch(2)
    data = data.map(lambda texts, score: (embedder.preprocess(texts), score))
    embedder.compile(optimizer=keras.optimizers.Adam(1e-2), loss=cosine_loss)
    losses = embedder.fit(data, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 3
