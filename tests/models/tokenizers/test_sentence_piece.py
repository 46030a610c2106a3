"""Texts that are written on with SentencePiece: a space that stands before a text is put there, and taken off, once."""

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
from tiny_sentence_pieces import TEXTS, make_llama, train_pieces

from kerasft.config.text_generation import DecodingConfig
from kerasft.data.prepared.next_tokens import prepare_answers, prepare_dialogues, prepare_documents
from kerasft.data.prepared.spoken import RenderedTurn
from kerasft.errors import UserError
from kerasft.models.generation.cached_decoder import CausalDecoder
from kerasft.models.generation.generator import Generator
from kerasft.models.preprocessing.prompt_preprocessor import prompt_preprocessor
from kerasft.models.tokenizers.detokenizer import NO_TOKEN, Detokenizer
from kerasft.models.tokenizers.sentence_piece import RunningTextEncoder

PARTS = [*TEXTS, "", " ", "  two", "trail ", "🎈 unseen 龍", "Paris"]


@pytest.fixture(scope="module")
def llama() -> tuple:
    return make_llama()


@pytest.fixture(scope="module")
def library(llama):
    return sentencepiece.SentencePieceProcessor(model_proto=llama[1].proto)


def test_ids_are_those_of_the_library_with_its_space(llama, library):
    encoder = RunningTextEncoder(llama[1])
    assert tf.function(encoder, autograph=False)(tf.constant(PARTS)).to_list() == library.encode(PARTS)


def test_what_stands_behind_a_text_goes_on_with_it(llama, library):
    """The whole, as the library decodes it, is one text followed by the other."""
    encoder, detokenizer = RunningTextEncoder(llama[1]), Detokenizer(llama[1], 400)
    behind = tf.function(encoder.behind, autograph=False)(tf.constant(PARTS)).to_list()
    for first in (text for text in PARTS if text):
        for text, ids in zip(PARTS, behind):
            assert library.decode(library.encode(first) + ids) == first + text
            assert detokenizer.text(ids) == text
            assert detokenizer.text(library.encode(first) + ids, opens=True) == first + text


def test_special_tokens_that_a_text_spells_are_found(llama):
    encoder = tf.function(RunningTextEncoder(llama[1]).behind, autograph=False)
    assert encoder(tf.constant(["</s>", "<s></s>"])).to_list() == [[2], [1, 2]]


def test_special_and_unknown_tokens_and_half_characters(llama):
    tokenizer = llama[1]
    detokenizer = Detokenizer(tokenizer, tokenizer.vocabulary_size() + 3)
    assert detokenizer.special.nonzero()[0].tolist() == [1, 2] and not detokenizer.ordinary[[0, 1, 2, -1]].any()
    byte = {value: tokenizer.token_to_id(f"<0x{value:02X}>") for value in (0xF0, 0x9F, 0x98, 0x80, 0x41)}
    cut = [byte[0xF0], byte[0x9F], byte[0x41], NO_TOKEN, NO_TOKEN]
    whole = [byte[0xF0], byte[0x9F], byte[0x98], byte[0x80], NO_TOKEN]
    assert [text.decode() for text in detokenizer(tf.constant([cut, whole])).numpy()] == ["\ufffdA", "😀"]
    assert detokenizer.text([0, *whole, 1, 2]) == "\ufffd😀"


def answers(llama, prompts: list[str], **decoding) -> list[str]:
    backbone, tokenizer = llama
    preprocessor = prompt_preprocessor(backbone, tokenizer, 32)
    generator = Generator(
        CausalDecoder(backbone, 32), preprocessor.detokenizer, DecodingConfig(max_new_tokens=6, **decoding)
    )

    @tf.function
    def answer(prompts):
        features = preprocessor({"prompt": prompts})
        return generator(features, generator.sampling_params(features))["text"]

    return [text.decode() for text in answer(tf.constant(prompts)).numpy()]


def best_to_say(llama, text: str) -> None:
    """Makes the model say the tokens of a text, from its start token on, whatever came before."""
    backbone, tokenizer = llama
    order = [tokenizer.start_token_id, *map(int, tokenizer(text)), tokenizer.end_token_id]
    width = tokenizer.vocabulary_size()
    table, reverse = np.zeros((width, 8), np.float32), np.zeros((8, width), np.float32)
    random = np.random.default_rng(3)
    vectors = random.normal(0, 1, (width, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table[:] = vectors
    for here, following in zip(order, order[1:]):
        reverse[:, following] = 9 * vectors[here]
    backbone.token_embedding.embeddings.assign(table)
    backbone.token_embedding.reverse_embeddings.assign(reverse)
    for layer in backbone.transformer_layers:
        for weight in layer.weights:
            weight.assign(np.zeros(weight.shape) if len(weight.shape) > 1 else np.ones(weight.shape))
    backbone.layer_norm.scale.assign(np.ones(8))


@pytest.mark.parametrize("decoding", [{}, {"beams": 2}])
def test_a_continuation_keeps_its_space_and_a_new_text_has_none(decoding):
    llama = make_llama()
    best_to_say(llama, "the capital")
    assert answers(llama, ["", "the", "the ca"], **decoding) == ["the capital", " capital", "pital"]
    assert answers(llama, ["", "the"], stop=[" cap"], **decoding) == ["the", ""]


class Rows:
    """A table of texts."""

    def __init__(self, **columns):
        self.columns = columns

    def batches(self, size, names=None):
        yield {name: self.columns[name] for name in names or self.columns}


def test_a_documents_bytes_are_counted_without_the_space_before_it(llama):
    preprocessor = prompt_preprocessor(*llama, 16)
    split = prepare_documents(Rows(text=TEXTS), preprocessor, True)
    assert split.text_bytes == sum(len(text.encode()) for text in TEXTS)
    split = prepare_answers(Rows(prompt=TEXTS, output=PARTS[: len(TEXTS)]), preprocessor, lambda row: "Say: ")
    kept = split.targets[(split.targets >= 0) & (split.targets != 2)]
    assert split.text_bytes == preprocessor.token_bytes[kept].sum()


def test_an_answer_is_learnt_as_it_stands(llama, library):
    preprocessor = prompt_preprocessor(*llama, 64)
    split = prepare_answers(Rows(output=["Paris"]), preprocessor, lambda row: "The capital:")
    targets = split.targets[split.targets >= 0].tolist()
    read = np.array(split.features["token_ids"]).tolist()
    assert read[0] == 1 and library.decode(read[1:]) == "The capital:Paris"
    assert preprocessor.detokenizer.text(targets[:-1]) == "Paris" and targets[-1] == 2


def test_a_dialogue_has_the_space_before_each_row_alone(llama, library):
    preprocessor = prompt_preprocessor(*llama, 12)
    turns = [RenderedTurn("user", "U:", "the\n", False), RenderedTurn("assistant", "A:", "fox</s>", True)] * 2
    split = prepare_dialogues(Rows(x=[0]), preprocessor, "\n", lambda row: turns, "system")
    for start, stop in zip(split.offsets, split.offsets[1:]):
        ids = np.array(split.features["token_ids"][start:stop]).tolist()
        assert ids[0] == 1 and library.decode(ids[1:]).startswith("U:the\n\nA:fox")
        assert library.id_to_piece(ids[1]).startswith("▁") and split.targets[stop - 1] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"remove_extra_whitespaces": True}, "remove_extra_whitespaces, and drops spaces"),
        ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix"),
    ],
)
def test_models_that_drop_spaces_are_refused(settings, message):
    import keras_hub

    with pytest.raises(UserError, match=message):
        RunningTextEncoder(keras_hub.models.LlamaTokenizer(proto=train_pieces(**settings)))
