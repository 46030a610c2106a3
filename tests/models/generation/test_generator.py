"""Texts by the cache are those of a loop without one; rows do not know of each other; wishes are kept."""

import functools

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.decoders import SPECS

from kerasft.config.text_generation import DecodingConfig
from kerasft.models.generation.cached_decoder import CausalDecoder
from kerasft.models.generation.generator import Generator, SamplingParams
from kerasft.models.heads.causal_lm import CausalLM
from kerasft.models.tokenizers.detokenizer import NO_TOKEN, Detokenizer

LENGTH = 32
PROMPTS = [[5, 9, 30], [70], list(range(40, 60)), [12, 12, 12, 12, 80, 3]]


def decoder(name, tiny_tokenizer) -> tuple:
    """A random decoder of one layer that says different things, and its tokens."""
    tokenizer = tiny_tokenizer(name)
    sizes = {"num_layers": 1, "hidden_dim": 8, "intermediate_dim": 16, "vocabulary_size": tokenizer.vocabulary_size()}
    if name == "gpt2":
        backbone = keras_hub.models.GPT2Backbone(num_heads=2, max_sequence_length=LENGTH, **sizes)
    else:
        backbone = keras_hub.models.Llama3Backbone(num_query_heads=2, num_key_value_heads=1, **sizes)
    random = np.random.default_rng(0)
    backbone.set_weights([random.normal(0, 0.6, weight.shape) for weight in backbone.weights])
    return backbone, Detokenizer(tokenizer, backbone.token_embedding.input_dim)


@pytest.fixture(scope="module")
def parts(tiny_tokenizer) -> tuple:
    return decoder("gpt2", tiny_tokenizer)


def padded(prompts, filler=0) -> dict[str, tf.Tensor]:
    ids = np.full((len(prompts), max(map(len, prompts))), filler, np.int32)
    for row, prompt in zip(ids, prompts):
        row[: len(prompt)] = prompt
    return {"token_ids": tf.constant(ids), "lengths": tf.constant([len(prompt) for prompt in prompts], tf.int32)}


class Writer:
    """A generator, traced once for all numbers and lengths of prompts."""

    def __init__(self, parts, **decoding):
        backbone, detokenizer = parts
        self.generator = Generator(CausalDecoder(backbone, LENGTH), detokenizer, DecodingConfig(**decoding))
        column = {name: tf.TensorSpec([None], kind) for name, kind in SPECS.items()}
        specs = {"token_ids": tf.TensorSpec([None, None], tf.int32), "lengths": tf.TensorSpec([None], tf.int32)}
        self.decode_step = tf.function(self.generator, [specs, SamplingParams(**column)], autograph=False)

    def __call__(self, prompts, filler=0, **sampling_params) -> list[tuple[str, int]]:
        """(text, tokens) of each prompt; wishes not given are those of the config."""
        told = {name: tf.constant(values, SPECS[name]) for name, values in sampling_params.items()}
        prompts = padded(prompts, filler)
        found = self.decode_step(prompts, self.generator.sampling_params(prompts)._replace(**told))
        return list(zip([text.decode("utf-8") for text in found["text"].numpy()], found["tokens"].numpy().tolist()))


def naive(backbone, detokenizer, prompt, count) -> str:
    """Greedy, by calling the whole model on the whole row for each token."""
    model, ids = CausalLM(backbone), list(prompt[-(LENGTH - count) :])
    for _ in range(count):
        row = np.array([ids], np.int32)
        logits = model({"token_ids": row, "padding_mask": np.ones_like(row)}).numpy()[0, -1]
        if detokenizer.special[logits.argmax()]:
            break
        ids.append(int(logits.argmax()))
    return detokenizer.text(ids[len(prompt[-(LENGTH - count) :]) :])


@pytest.mark.parametrize("name", ["gpt2", "llama3"])
def test_the_cache_changes_nothing(name, tiny_tokenizer):
    parts = decoder(name, tiny_tokenizer)
    found = Writer(parts, max_new_tokens=8)(PROMPTS)
    assert [text for text, _ in found] == [naive(*parts, prompt, 8) for prompt in PROMPTS]
    assert len({text for text, _ in found}) > 2  # the model says something of its own to each


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_is_answered_alike_whatever_stands_beside_it(parts, temperature):
    writer = Writer(parts, max_new_tokens=9, temperature=temperature, top_p=0.9, repetition_penalty=1.3, top_k=40)
    together = writer(PROMPTS)
    assert writer(PROMPTS[::-1], filler=33)[::-1] == together
    assert [writer([prompt])[0] for prompt in PROMPTS] == together
    limits = [9, 3, 0, 9]
    for (text, count), (whole, most), limit in zip(writer(PROMPTS, max_new_tokens=limits), together, limits):
        assert count == min(limit, most) and whole.startswith(text.rstrip("\N{REPLACEMENT CHARACTER}"))


@pytest.fixture(scope="module")
def drawing(parts) -> Writer:
    return Writer(parts, max_new_tokens=8, temperature=1.0)


@pytest.fixture(scope="module")
def greedy(parts) -> Writer:
    return Writer(parts, max_new_tokens=16)


def test_a_seed_and_a_prompt_decide_what_is_drawn(drawing):
    prompt_ids = [PROMPTS[0]] * 3
    twice = [drawing(prompt_ids, seed=[1, 2, 1]) for _ in range(2)]
    assert twice[0] == twice[1] and twice[0][0] == twice[0][2] != twice[0][1]
    keras.utils.set_random_seed(99)
    assert drawing(prompt_ids, seed=[1, 2, 1]) == twice[0]
    some = drawing(prompt_ids, seed=[1, 2, 1], temperature=[0.0, 0.0, 1.0])
    assert some[0] == some[1] and some[2] == twice[0][0]


def test_a_prompt_that_leaves_no_room_loses_its_first_tokens(greedy):
    long = list(range(30, 30 + LENGTH - 1))
    assert greedy([long], max_new_tokens=[10]) == greedy([long[-22:]], max_new_tokens=[10])
    ((text, count),) = greedy([long], max_new_tokens=[10**6])
    assert greedy([long[-1:]], max_new_tokens=[LENGTH - 1]) == [(text, count)] and count <= LENGTH - 1
    assert greedy([long], max_new_tokens=[-3]) == [("", 0)]


def test_an_answer_ends_before_a_stop_text(parts, greedy):
    texts = [text for text, _ in greedy(PROMPTS)]
    stop = texts[0][2:5]  # of several tokens or one
    found = Writer(parts, max_new_tokens=16, stop=[stop, ".*"])(PROMPTS)
    assert [text for text, _ in found] == [text.split(stop)[0].split(".*")[0] for text in texts]
    assert len(stop) == 3 and found[0][1] < 16  # it did not go on to the end


@functools.lru_cache(maxsize=None)
def traced(generator):
    return tf.function(generator._generate, reduce_retracing=True, autograph=False)


def ids_of(writer, prompts) -> np.ndarray:
    features = padded(prompts)
    return traced(writer.generator)(features, writer.generator.sampling_params(features))[0].numpy()


def test_an_end_token_ends_an_answer(tiny_tokenizer, greedy):
    backbone, detokenizer = decoder("gpt2", tiny_tokenizer)
    said = ids_of(greedy, PROMPTS[:1])[0].tolist()
    detokenizer.special[said[2]] = True  # from now on
    cut = said[: said.index(said[2])]
    assert Writer((backbone, detokenizer), max_new_tokens=10)(PROMPTS[:1]) == [(detokenizer.text(cut), len(cut))]


def test_a_penalty_keeps_from_saying_again(parts, greedy):
    averse = ids_of(Writer(parts, max_new_tokens=20, repetition_penalty=1e6), PROMPTS[:1])[0]
    found = [token for token in averse if token != NO_TOKEN]
    assert len(set(found)) == len(found) > 0 and not set(found) & set(PROMPTS[0])
    assert averse[:16].tolist() != ids_of(greedy, PROMPTS[:1])[0].tolist()


def test_an_embedding_table_that_is_longer_than_the_vocabulary(tiny_tokenizer):
    backbone, detokenizer = decoder("gpt2", tiny_tokenizer)
    known = len(detokenizer.token_bytes) - 40  # as if the last rows of the table were no tokens
    detokenizer.ordinary[known:] = False
    ids = ids_of(Writer((backbone, detokenizer), max_new_tokens=20, temperature=1e4), [[n] for n in range(1, 17)])
    assert ids.max() < known and len(np.unique(ids)) > 100
