"""A tokenizer with fewer tokens cuts texts of kept tokens as before, and can still spell every other text."""

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.task_rows import TASKS, settings  # noqa: F401

from kerasft.assembly import assemble
from kerasft.compress.base import Source
from kerasft.compress.candidates import as_model, head_values
from kerasft.compress.kept_tokens import merged_parts, trimmed
from kerasft.compress.smaller_backbone import with_rows
from kerasft.compress.vocabulary import Vocabulary
from kerasft.config.compress import VocabularyConfig
from kerasft.config.model import ModelConfig
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.models.presets.from_scratch import train_byte_pairs, train_tokenizer
from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.models.tokenizers.sentence_piece_trainer import train_sentence_pieces
from kerasft.tasks.base import TOKEN_IDS
from kerasft.tasks.registry import create_task

WORDS = "the three there then theatre other mother weather leather together gather rather lather father bather".split()
RANDOM = np.random.default_rng(0)
TEXTS = [" ".join(RANDOM.choice(WORDS, 6)) for _ in range(200)]
FEW = [text for text in TEXTS if "mother" not in text and "leather" not in text]


def sentence_pieces(model_type: str):
    import io

    import sentencepiece as spm

    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=60, model_type=model_type,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return keras_hub.tokenizers.SentencePieceTokenizer(proto=model.getvalue())


KINDS = {
    "word pieces": lambda: train_tokenizer(lambda: TEXTS, 90, True),
    "byte pairs": lambda: train_byte_pairs(lambda: TEXTS, 330),
    "pieces by merges": lambda: sentence_pieces("bpe"),
    "pieces by unigrams": lambda: sentence_pieces("unigram"),
    "a model's own pieces": lambda: train_sentence_pieces(lambda: TEXTS, 330),
}


def encoded(tokenizer, texts):
    encoder = token_encoder(tokenizer)
    return tf.function(encoder, autograph=False)(tf.constant(texts)).to_list()


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_kept_tokens_are_cut_as_before_and_others_lose_nothing(kind):
    tokenizer = KINDS[kind]()
    before = encoded(tokenizer, FEW)
    small, old = trimmed(tokenizer, np.array([number for row in before for number in row]))
    assert len(old) == small.vocabulary_size() < tokenizer.vocabulary_size()
    assert [old[row].tolist() for row in encoded(small, FEW)] == before
    others = ["mother leather", "moth erth"]
    assert [str(small.detokenize(row)) for row in encoded(small, others)] == [
        str(tokenizer.detokenize(row)) for row in encoded(tokenizer, others)
    ]
    again, rows = trimmed(small, np.arange(len(old)))
    assert len(rows) == len(old)


def test_the_parts_of_a_token_are_those_that_it_is_merged_from():
    ranks = {("t", "h"): 0, ("h", "e"): -1, ("th", "e"): -2}
    assert merged_parts("the", lambda left, right: ranks.get((left, right))) == {"t", "h", "e", "th", "the"}


def test_a_trimmed_backbone_gives_the_same_vectors_bit_for_bit(tiny_bert):
    backbone, rows = tiny_bert(), np.array([0, 3, 4, 50, 99])
    small = with_rows(backbone, rows)
    ids = np.array([[1, 4, 2, 3, 0]])
    shared = {"padding_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    outputs = (small({**shared, "token_ids": ids}), backbone({**shared, "token_ids": rows[ids]}))
    assert small.token_embedding.embeddings.shape[0] == 5
    for name in outputs[0]:
        np.testing.assert_array_equal(outputs[0][name], outputs[1][name])


def test_another_kind_of_tokenizer_is_refused():
    tokenizer = keras_hub.tokenizers.ByteTokenizer()
    with pytest.raises(UserError, match="a ByteTokenizer can't be trimmed"):
        trimmed(tokenizer, np.arange(3))


@pytest.mark.parametrize("name, more", [("a relation", {}), ("a label", {"peft": {"method": "prompt", "tokens": 2}})])
def test_tokens_that_a_task_knows_by_their_ids_are_found_again(settings, name, more):  # noqa: F811
    config = settings(*TASKS[name])
    model = ModelConfig.model_validate({**config.model.model_dump(), **more})
    config = config.model_copy(update={"model": model})
    task = create_task(config)
    tables = load_splits(config, task)
    built = assemble(config, task, train=tables["train"], preset=config.model.preset)
    few = tables["train"].select([0, 1])
    prepared = task.prepare(few, built.preprocessor)
    features = {key: tf.constant(value) for key, value in prepared.batch(np.arange(2))[0].items()}
    before, ids = built.model(features).numpy(), {key: task.state[key] for key in TOKEN_IDS if key in task.state}
    assert ids
    method = Vocabulary(VocabularyConfig(method="vocabulary", name="small"))
    smaller = method.apply(Source(None, built, tables, prepared, lambda line: None))
    made = as_model(task, smaller, head_values(built))
    assert {key: task.state[key] for key in ids} != ids  # fewer tokens stand before them
    again = task.prepare(few, made.preprocessor)
    features = {key: tf.constant(value) for key, value in again.batch(np.arange(2))[0].items()}
    np.testing.assert_array_equal(made.model(features).numpy(), before)
