"""A BART in Hugging Face form says what it says in transformers; one that KerasHub reads wrongly is refused."""

import json

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from tiny_bart import write_huggingface
from tiny_t5 import make_t5

from kerasft.errors import UserError
from kerasft.models.heads.causal_lm import causal_lm_loss
from kerasft.models.heads.seq2seq_lm import EncoderDecoderLM
from kerasft.models.preprocessing.layout import encoder_decoder_layout
from kerasft.models.presets.presets import load_backbone, load_tokenizer, save_preset

INPUT, OUTPUT = [0, 20, 130, 7, 2, 1, 1], [2, 0, 44, 9]
# transformers 5.23, torch 2.13: benchmarks/peers/hf_bart_logits.py prints these, ids 40 to 45 at each token of OUTPUT.
LOGITS = [
    [1.1283, 3.3719, 0.1187, -7.8295, -1.207, 0.4973],
    [1.1427, 3.4001, 0.1301, -7.8087, -1.2481, 0.4865],
    [1.1839, 3.4455, 0.1471, -7.7179, -1.3305, 0.545],
    [1.1882, 3.4517, 0.1522, -7.7004, -1.3566, 0.5218],
]


def test_logits_are_those_of_transformers(tmp_path):
    backbone = load_backbone(str(write_huggingface(tmp_path)))
    found = EncoderDecoderLM(backbone)(
        {
            "encoder_token_ids": np.array([INPUT]),
            "encoder_padding_mask": np.array([[int(token != 1) for token in INPUT]]),
            "decoder_token_ids": np.array([OUTPUT]),
            "decoder_padding_mask": np.ones((1, len(OUTPUT)), np.int32),
        }
    )
    np.testing.assert_allclose(found.numpy()[0, :, 40:46], LOGITS, atol=2e-4)
    layout = encoder_decoder_layout(backbone, load_tokenizer(str(tmp_path)))
    assert layout.encoder == ((0,), (2,), (2,), 1) and layout.decoder_begin == (2, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"decoder_layers": 1},
            "decoder_layers is 1, .* takes encoder_layers, 2",
        ),
        ({"scale_embedding": True}, "scale_embedding is True"),
        ({"activation_function": "quick_gelu"}, "activation_function is .*quick_gelu"),
    ],
)
def test_a_model_that_kerashub_would_read_as_another(tmp_path, change, reason):
    path = write_huggingface(tmp_path) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=reason):
        load_backbone(str(tmp_path))


@pytest.mark.parametrize("tied", [True, False])
def test_a_t5_says_what_kerashubs_says_and_is_saved(tied, tmp_path):
    """KerasHub's logits are those of transformers 5.23 (docs/tasks/seq2seq.md)."""
    backbone, tokenizer = make_t5(tied)
    random = np.random.default_rng(2)
    inputs = {
        "encoder_token_ids": random.integers(0, 30, (2, 150)),
        "decoder_token_ids": random.integers(0, 30, (2, 140)),
    }
    masks = {"encoder_padding_mask": np.ones((2, 150), np.int32), "decoder_padding_mask": np.ones((2, 140), np.int32)}
    masks["encoder_padding_mask"][0, 100:] = 0
    theirs = keras_hub.models.T5Seq2SeqLM(backbone, None)(inputs | masks)
    np.testing.assert_allclose(EncoderDecoderLM(backbone)(inputs | masks), theirs, atol=1e-4)
    layout = encoder_decoder_layout(backbone, tokenizer)
    assert layout.encoder == ((), (1,), (1,), 0) and layout.decoder_begin == (0,)
    save_preset(backbone, tokenizer, str(tmp_path))
    again = EncoderDecoderLM(load_backbone(str(tmp_path)))(inputs | masks)
    np.testing.assert_allclose(again, theirs, atol=1e-4)
    assert load_tokenizer(str(tmp_path)).proto == tokenizer.proto


def test_other_families_are_refused():
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4, max_sequence_length=4
    )
    with pytest.raises(UserError, match="seq2seq takes BART and T5 models, not a GPT2Backbone"):
        EncoderDecoderLM(backbone)


def test_smoothing_spreads_a_share_over_the_vocabulary():
    logits = tf.random.stateless_normal([2, 3, 5], [1, 2])
    targets = tf.constant([[1, 4, -1], [-1, 0, 2]])
    logs = tf.nn.log_softmax(logits).numpy()
    for row in range(2):
        said = [place for place in range(3) if targets[row, place] >= 0]
        wanted = [-0.9 * logs[row, place, targets[row, place]] - 0.1 * logs[row, place].mean() for place in said]
        assert causal_lm_loss(targets, logits, 0.1)[row].numpy() == pytest.approx(np.mean(wanted), rel=1e-5)
