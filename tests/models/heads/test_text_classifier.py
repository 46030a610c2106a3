"""One head for every family: pooled where the family pools, and nothing read from padding."""

import keras
import keras_hub
import numpy as np
import pytest

from kerasft.models.families import is_decoder
from kerasft.models.heads.text_classifier import build_classifier

SMALL = dict(num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=16)
MODELS = keras_hub.models
FAMILIES = {
    "bert": lambda: MODELS.BertBackbone(vocabulary_size=50, **SMALL),
    "distil_bert": lambda: MODELS.DistilBertBackbone(vocabulary_size=50, **SMALL),
    "roberta": lambda: MODELS.RobertaBackbone(vocabulary_size=50, **SMALL),
    "xlm_roberta": lambda: MODELS.XLMRobertaBackbone(vocabulary_size=50, **SMALL),
    "albert": lambda: MODELS.AlbertBackbone(vocabulary_size=50, embedding_dim=4, **SMALL),
    "electra": lambda: MODELS.ElectraBackbone(vocab_size=50, embedding_dim=8, **SMALL),
    "deberta_v3": lambda: MODELS.DebertaV3Backbone(vocabulary_size=50, **SMALL),
    "gpt2": lambda: MODELS.GPT2Backbone(vocabulary_size=50, **SMALL),
}


@pytest.fixture(params=FAMILIES, scope="module")
def family(request):
    keras.utils.set_random_seed(0)
    return request.param, FAMILIES[request.param]()


def features(backbone: keras.Model, lengths: list[int], longest: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    mask = np.arange(longest) < np.asarray(lengths)[:, None]
    tokens = np.stack([random.integers(1, 50, 16) for _ in lengths])[:, :longest]
    every = {
        "token_ids": np.where(mask, tokens, 0).astype(np.int32),
        "padding_mask": mask.astype(np.int32),
        "segment_ids": np.zeros_like(tokens, np.int32),
    }
    return {tensor.name: every[tensor.name] for tensor in backbone.inputs}


@pytest.mark.parametrize("pooling", ["auto", "cls", "mean", "last"])
def test_logits_have_their_shape_and_ignore_padding(family, pooling):
    _, backbone = family
    model = build_classifier(backbone, 3, pooling)
    short, long = (model(features(backbone, [3, 5], longest)) for longest in (5, 11))
    assert short.shape == (2, 3) and short.dtype == "float32"
    np.testing.assert_allclose(short, long, atol=1e-5)


def test_every_weight_is_reached_by_the_gradient_of_auto_pooling(family):
    import tensorflow as tf

    name, backbone = family
    model = build_classifier(backbone, 3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(features(backbone, [3, 5], 5))))
    missing = [
        v.path
        for v, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables))
        if gradient is None
    ]
    assert missing == []


def test_decoders_are_known_by_having_a_language_model(family):
    name, backbone = family
    assert is_decoder(backbone) == (name == "gpt2")


def test_a_decoder_reads_its_last_token(family):
    name, backbone = family
    if name != "gpt2":
        pytest.skip("of decoders only")
    given = features(backbone, [4, 4], 4)
    given["token_ids"][1] = given["token_ids"][0]
    given["token_ids"][1, 3] += 1  # only the last token differs
    logits = build_classifier(backbone, 3)(given)
    assert np.abs(logits[0] - logits[1]).max() > 1e-6


def test_the_config_sets_the_rate_before_the_last_layer():
    model = build_classifier(FAMILIES["bert"](), 3, dropout=0.37)
    assert model.get_layer("classifier_dropout").rate == 0.37
