"""A SentencePiece model trained on a corpus: the same each time, it reads and writes all texts, and is saved."""

import hashlib
import json
import subprocess
import sys

import keras_hub
import pytest
import sentencepiece
import tensorflow as tf

from kerasft.config.model import ModelConfig
from kerasft.errors import UserError
from kerasft.models.presets.from_scratch import start_from_scratch
from kerasft.models.presets.presets import load_backbone, load_tokenizer, save_preset
from kerasft.models.tokenizers.detokenizer import NO_TOKEN, Detokenizer
from kerasft.models.tokenizers.encoder import clean, running_text_encoder, token_encoder
from kerasft.models.tokenizers.sentence_piece_trainer import LONGEST_LINE, train_sentence_pieces

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, doesn't it? 12345 times!",
    "Ein schöner Straßenname: Größenwahn; naïve café, coöperation.",
    "我们在北京大学学习中文，你好吗？ 天气很好。",
    "def f(x):\n    if x:\n        return x ** 2  # comment\t\ttab\n",
]
UNSEEN = [
    "",
    " ",
    "  two  spaces  ",
    "\n\n x\r\n",
    "emoji 😀👍🏽 👨‍👩‍👧",
    "龍 ٣٤ \0 \x7f",
    "<0x41> <unk>",
    "x" * 200,
    "a\u00a0b",
]
TRAIN = """
import hashlib, json, sys
from kerasft.models.tokenizers.sentence_piece_trainer import train_sentence_pieces
print(hashlib.sha256(train_sentence_pieces(lambda: json.loads(sys.argv[1]), 450).proto).hexdigest())
"""


@pytest.fixture(scope="module")
def trained() -> keras_hub.models.LlamaTokenizer:
    return train_sentence_pieces(lambda: SENTENCES, 450)


@pytest.fixture(params=["read", "written on"])
def encode(request, trained):
    encoder = token_encoder(trained)
    encoder = running_text_encoder(trained, encoder) if request.param == "written on" else encoder
    return tf.function(lambda text: encoder(clean(text)), autograph=False)


@pytest.mark.long
def test_another_process_learns_the_same_model(trained):
    here = train_sentence_pieces(lambda: SENTENCES, 450).proto
    told = [sys.executable, "-c", TRAIN, json.dumps(SENTENCES)]
    there = {subprocess.run(told, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert here == trained.proto and len(there) == 1
    assert there == {hashlib.sha256(here).hexdigest() + "\n"}


def test_ids_are_those_of_the_library(trained, encode):
    texts = [*SENTENCES, *UNSEEN]
    theirs = sentencepiece.SentencePieceProcessor(model_proto=trained.proto).encode(texts)
    assert encode(tf.constant(texts)).to_list() == theirs


def test_every_text_comes_back(trained, encode):
    texts = [*SENTENCES, *UNSEEN]
    detokenizer = Detokenizer(trained, trained.vocabulary_size())
    ids = encode(tf.constant(texts))
    assert tf.function(detokenizer, autograph=False)(ids.to_tensor(NO_TOKEN)).numpy().tolist() == [
        text.encode() for text in texts
    ]
    assert [detokenizer.text(row, opens=True) for row in ids.to_list()] == texts
    assert detokenizer.opening is None and detokenizer.special_tokens == {"<s>", "</s>"}
    # The one character that pieces have another meaning for.
    assert detokenizer(encode(tf.constant(["a▁b"])).to_tensor()).numpy().tolist() == [b"a_b"]


def test_a_line_break_and_indentation_are_tokens(trained, encode):
    pieces = [trained.id_to_token(token) for token in encode(tf.constant(["x\n        return"])).to_list()[0]]
    assert pieces[:2] == ["x", "<0x0A>"] and pieces[2] == "▁▁▁▁"


@pytest.mark.parametrize("family", ["gpt2", "bart"])
def test_a_preset_of_it_is_loaded_by_keras_hub(tmp_path, family):
    sizes = {"family": family, "layers": 1, "heads": 2, "hidden": 8, "intermediate": 16, "vocabulary_size": 450}
    model = ModelConfig(preset=None, architecture={**sizes, "tokens": "sentencepiece"}, max_length=16)
    backbone, tokenizer = start_from_scratch(model, lambda: SENTENCES, "float32", 16)
    assert backbone.vocabulary_size == tokenizer.vocabulary_size() <= 450
    save_preset(backbone, tokenizer, str(tmp_path / "model"))
    ours, theirs = (
        load(str(tmp_path / "model")) for load in (load_tokenizer, keras_hub.tokenizers.Tokenizer.from_preset)
    )
    assert type(ours) is type(theirs) is keras_hub.models.LlamaTokenizer
    assert ours.proto == theirs.proto == tokenizer.proto
    assert type(load_backbone(str(tmp_path / "model"))) is type(backbone)


def test_long_lines_are_learnt_from_too():
    found = train_sentence_pieces(lambda: ["我们在北京 " * LONGEST_LINE], 300)
    assert "我们在北京" in " ".join(found.get_vocabulary())


def test_a_corpus_without_text_and_a_vocabulary_without_room():
    for texts in ([], ["", "\n\n"]):
        with pytest.raises(UserError, match="data.train: no text"):
            train_sentence_pieces(lambda texts=texts: texts, 300)
    with pytest.raises(UserError, match=r"vocabulary_size: 270 is less than the \d\d\d tokens that the 256 bytes"):
        train_sentence_pieces(lambda: SENTENCES, 270)
    assert train_sentence_pieces(lambda: ["a"], 300).vocabulary_size() == 260
