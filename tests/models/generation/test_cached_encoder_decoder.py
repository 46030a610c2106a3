"""Answers by the cache are those of a loop that calls the whole model for each token, each row's by itself."""

import numpy as np
import pytest
import tensorflow as tf
from support.rarely import rarely
from tiny_bart import POSITIONS, TEXTS, make_bart
from tiny_t5 import make_t5

from kerasft.config.text_generation import DecodingConfig
from kerasft.models.generation.cached_encoder_decoder import _T5, EncoderDecoder
from kerasft.models.generation.generator import Generator, SamplingParams
from kerasft.models.heads.seq2seq_lm import EncoderDecoderLM
from kerasft.models.preprocessing.seq2seq_preprocessor import seq2seq_preprocessor
from kerasft.models.tokenizers.detokenizer import NO_TOKEN

INPUTS = [*TEXTS, "", "x" * 50]
BOTH = [f"{side}_{name}" for side in ("encoder", "decoder") for name in ("token_ids", "padding_mask")]
IDS = tf.TensorSpec([None, None], tf.int32)
MAKERS = {"bart": make_bart, "t5": make_t5, "t5 1.1": lambda strong=True: make_t5(tied=False, strong=strong)}
WAYS = {
    "greedy": {"max_new_tokens": 2 * POSITIONS},
    "wild": {"max_new_tokens": 6, "temperature": 2.0, "repetition_penalty": 1.3},
    "short": {"max_new_tokens": 4},
    "beams": {"max_new_tokens": 4, "beams": 4},
}


class Writer:
    """A model that answers; each way of decoding is traced once for all numbers and lengths of inputs."""

    def __init__(self, ways=WAYS, strong=True, make=make_bart):
        self.backbone, tokenizer = make(strong=strong)
        self.model = tf.function(EncoderDecoderLM(self.backbone), [dict.fromkeys(BOTH, IDS)], autograph=False)
        self.end = tokenizer.end_token_id
        join = lambda columns: columns["input"]  # noqa: E731
        self.reader = seq2seq_preprocessor(self.backbone, tokenizer, POSITIONS, POSITIONS, ("input",), join)
        # The tokens that begin an answer are read, its last one is not.
        self.longest = POSITIONS + 1 - len(self.reader.begin)
        self.known = self.reader.detokenizer.ordinary | self.reader.detokenizer.special
        self.ways = {way: self.traced(decoding) for way, decoding in ways.items()}
        self.read = tf.function(
            self.reader, input_signature=[{"input": tf.TensorSpec([None], tf.string)}], autograph=False
        )

    def features(self, texts) -> dict[str, tf.Tensor]:
        return self.read({"input": tf.constant(texts)})

    def traced(self, decoding) -> tuple:
        decoder = EncoderDecoder(self.backbone, self.reader.begin, POSITIONS)
        made = Generator(decoder, self.reader.detokenizer, DecodingConfig(**decoding))
        sampling_params = SamplingParams(
            *(tf.TensorSpec([None], kind) for kind in (tf.int32, tf.float32, tf.float32, tf.int64))
        )
        signature = [dict.fromkeys(BOTH[:2], IDS), sampling_params]
        return made, tf.function(made._generate, signature, autograph=False)

    def ids(self, features, way, told=None) -> np.ndarray:
        """(rows, tokens) that are written, NO_TOKEN from a row's end on."""
        made, generated = self.ways[way]
        return generated(features, made.sampling_params(features)._replace(**(told or {})))[0].numpy()

    def without_a_cache(self, text, count) -> list[int]:
        features = {name: values.numpy() for name, values in self.features([text]).items()}
        said = self.reader.begin.tolist()
        while len(said) < len(self.reader.begin) + count:
            decoder = {"decoder_token_ids": [said], "decoder_padding_mask": [[1] * len(said)]}
            inputs = {name: tf.constant(values, tf.int32) for name, values in {**features, **decoder}.items()}
            said.append(int(np.where(self.known, self.model(inputs).numpy()[0, -1], -np.inf).argmax()))
            if self.reader.detokenizer.special[said[-1]]:
                said.pop()
                break
        return said[len(self.reader.begin) :]

    def score(self, text, answer) -> float:
        """The mean log-probability of an answer of `WAYS["short"]`, by the whole model; its end is a token, too."""
        said = [token for token in answer.tolist() if token != NO_TOKEN]
        said += [self.end] * (len(said) < WAYS["short"]["max_new_tokens"])
        begin = self.reader.begin.tolist()
        read = begin + said[:-1]
        decoder = {"decoder_token_ids": [read], "decoder_padding_mask": [[1] * len(read)]}
        inputs = {**self.features([text]), **{name: tf.constant(ids, tf.int32) for name, ids in decoder.items()}}
        likely = tf.nn.log_softmax(self.model(inputs)[0, len(begin) - 1 :]).numpy()
        return float(np.mean([row[token] for row, token in zip(likely, said, strict=True)]))


def gathered(nest, rows):
    return tf.nest.map_structure(lambda values: tf.gather(values, rows), nest)


@pytest.fixture(scope="module", params=[*(name for name in MAKERS if name != "t5"), *rarely("t5")])
def writer(request) -> Writer:
    return Writer(make=MAKERS[request.param])


def test_greedy_answers_to_the_last_position_are_those_without_a_cache(writer):
    features = writer.features(INPUTS)
    found = writer.ids(features, "greedy")
    wanted = [writer.without_a_cache(text, writer.longest) for text in INPUTS]
    assert [[token for token in row if token != NO_TOKEN] for row in found.tolist()] == wanted
    assert max(map(len, wanted)) == writer.longest and len({*map(tuple, wanted)}) >= len(INPUTS) - 1
    more = {"max_new_tokens": tf.fill([len(INPUTS)], 3 * POSITIONS)}
    np.testing.assert_array_equal(writer.ids(features, "greedy", more), found)


def test_beams_find_likelier_answers():
    writer = Writer({way: WAYS[way] for way in ("short", "beams")}, strong=False)  # of which nothing is sure
    features = writer.features(INPUTS)
    greedy, found = (writer.ids(features, way) for way in ("short", "beams"))
    scores = [[writer.score(*pair) for pair in zip(INPUTS, answers)] for answers in (greedy, found)]
    gains = np.subtract(*reversed(scores))
    assert gains.min() > -1e-6 and gains.max() > 1e-4


@pytest.mark.parametrize("way", ["wild", "beams"])
def test_an_answer_does_not_depend_on_the_rows_beside_it(writer, way):
    together = writer.ids(writer.features(INPUTS), way)
    for text, row in zip(INPUTS, together):
        alone = writer.ids(writer.features([text]), way)[0]
        np.testing.assert_array_equal(alone, row[: len(alone)])
        assert (row[len(alone) :] == NO_TOKEN).all()


def test_a_seed_draws_the_same_for_the_same_input(writer):
    seeds = {"seed": tf.constant([1, 2, 1, 3], tf.int64)}
    rows = writer.ids(writer.features(TEXTS[:1] * 4), "wild", seeds).tolist()
    assert rows[0] == rows[2] and len({*map(tuple, rows)}) == 3


def test_rows_of_the_cache_can_be_put_in_another_order(writer):
    decoder = EncoderDecoder(writer.backbone, writer.reader.begin, POSITIONS)
    state_of_prompt = decoder.prefill(writer.features(TEXTS), tf.constant([3, 3, 3]))
    tokens, places, order = tf.constant([20, 25, 30]), tf.constant([2, 2, 2]), tf.constant([2, 0, 0])
    straight, _ = decoder.decode_step(tf.gather(tokens, order), places, state_of_prompt.cache, state_of_prompt.shared)
    cache, shared = gathered((state_of_prompt.cache, state_of_prompt.shared), order)
    turned, _ = decoder.decode_step(tf.gather(tokens, order), places, cache, shared)
    whole, _ = decoder.decode_step(tokens, places, state_of_prompt.cache, state_of_prompt.shared)
    np.testing.assert_allclose(turned[0], whole[2], atol=1e-5)
    np.testing.assert_allclose(turned[1], whole[0], atol=1e-5)
    assert np.abs(straight[0] - turned[0]).max() > 1e-2


def test_answers_that_grow_from_one_input_read_one_copy_of_it(writer):
    decoder = EncoderDecoder(writer.backbone, writer.reader.begin, POSITIONS)
    state_of_prompt = decoder.prefill(writer.features(INPUTS), tf.fill([len(INPUTS)], 3))
    each = tf.repeat(tf.range(len(INPUTS)), 2)
    tokens, places = tf.range(20, 20 + 2 * len(INPUTS)), tf.fill([2 * len(INPUTS)], 2)
    cache = gathered(state_of_prompt.cache, each)
    copied, _ = decoder.decode_step(tokens, places, cache, gathered(state_of_prompt.shared, each))
    one, after = decoder.decode_step(tokens, places, cache, state_of_prompt.shared)
    np.testing.assert_allclose(one, copied, atol=1e-5)
    # What beams repeat and put in order has room for an answer, and nothing of the input.
    assert {kept.shape[2] for kept in tf.nest.flatten(after)} == {len(writer.reader.begin) + 3}


def test_a_bias_by_distance_is_that_of_the_whole_row():
    backbone, _ = make_t5()
    whole = backbone.decoder_transformer_layers[0].self_attention.compute_bias(200, 200)[0].numpy()
    places = np.array([0, 7, 60, 199])
    found = _T5.bias(backbone, tf.constant(places, tf.int32), 200)
    for place, row in zip(places, found.numpy()):
        np.testing.assert_array_equal(row[:, 0], whole[:, place])


def test_numbers_of_a_request(writer):
    features = writer.features(TEXTS)
    told = SamplingParams(
        tf.constant([0, 1, 4]), tf.constant([0.0] * 3), tf.constant([1.0] * 3), tf.constant([0] * 3, tf.int64)
    )
    generated = (writer.ids(features, "greedy", told._asdict()) != NO_TOKEN).sum(1)
    assert generated.tolist() == [0, 1, 4]
