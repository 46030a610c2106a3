"""Beams find what an exhaustive search finds, and what transformers' find; ends, stop texts, limits and other rows."""

import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_gguf import undecided_weights, write_gguf

from kerasft.config.text_generation import DecodingConfig
from kerasft.models.generation.cached_decoder import CausalDecoder
from kerasft.models.generation.decoder import PrefillState
from kerasft.models.generation.generator import Generator
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.models.tokenizers.detokenizer import Detokenizer

GOLDEN = json.loads((Path(__file__).parents[1] / "hf_beams.json").read_text())  # see hf_beams.py
LETTERS = b"abcd."  # the last one ends an answer
END = len(LETTERS) - 1


class TableDecoder:
    """What comes next depends on the two letters before, by a table: so a beam must keep what is its own."""

    max_length = 16

    def __init__(self, seed: int = 0):
        self.table = np.random.default_rng(seed).normal(0, 1.5, [len(LETTERS)] * 3).astype(np.float32)

    def prompt_ids(self, features):
        return features["token_ids"], features["lengths"]

    def prefill(self, features, limits):
        token_ids, lengths = self.prompt_ids(features)
        before, newest = (tf.gather(token_ids, tf.maximum(lengths - back, 0), batch_dims=1) for back in (2, 1))
        return PrefillState(token_ids, lengths, self._hidden(before, newest), {"newest": newest})

    def decode_step(self, token_ids, places, cache, shared):
        return self._hidden(cache["newest"], token_ids), {"newest": token_ids}

    def _hidden(self, before, newest):
        return tf.cast(tf.stack([before, newest], axis=1), tf.float32)

    def logits(self, hidden):
        return tf.gather_nd(tf.constant(self.table), tf.cast(hidden, tf.int32))

    def likeliest(self, prompt, most: int, length_penalty: float, stop: str | None = None) -> str:
        """By trying every answer."""
        rows = self.table - np.log(np.exp(self.table).sum(-1, keepdims=True))

        def score(answer):
            row = [*(prompt[:1] + prompt)[-2:], *answer]
            return sum(rows[tuple(row[place - 2 : place + 1])] for place in range(2, len(row))) / (
                len(answer) ** length_penalty
            )

        def whole(answer):
            """Whether it ends at its last letter, and not before."""
            text = token_bytes(answer)
            early = END in answer[:-1] or (stop is not None and stop in text[:-1])
            return not early and (len(answer) == most or answer[-1] == END or (stop is not None and stop in text))

        answers = (answer for size in range(1, most + 1) for answer in itertools.product(range(END + 1), repeat=size))
        text = token_bytes(max(filter(whole, answers), key=score))
        return text.split(stop)[0] if stop else text


def token_bytes(answer) -> str:
    return "".join(chr(LETTERS[letter]) for letter in answer if letter != END)


@pytest.fixture(scope="module")
def letters() -> Detokenizer:
    made = Detokenizer.__new__(Detokenizer)  # without a tokenizer
    made.special = np.arange(len(LETTERS)) == END
    made.ordinary, made.opening = ~made.special, None
    made.token_bytes = [bytes([letter]) for letter in LETTERS[:END]] + [b""]
    return made


PROMPTS = [[0], [1, 3], [2, 2, 0], [3], [1, 1]]


@functools.lru_cache(maxsize=None)
def traced(generator):
    return tf.function(generator, reduce_retracing=True, autograph=False)


def ask(generator, prompts, limits=None) -> list[tuple[str, int]]:
    ids = tf.ragged.constant(prompts, dtype=tf.int32)
    features = {"token_ids": ids.to_tensor(), "lengths": tf.cast(ids.row_lengths(), tf.int32)}
    sampling_params = generator.sampling_params(features)
    if limits is not None:
        sampling_params = sampling_params._replace(max_new_tokens=tf.constant(limits))
    found = traced(generator)(features, sampling_params)
    return list(zip([text.decode() for text in found["text"].numpy()], found["tokens"].numpy().tolist()))


@pytest.mark.parametrize("length_penalty,stop", [(0.0, None), (1.0, None), (2.0, None), (1.0, "ca"), (-1.0, "bd")])
def test_wide_beams_find_the_best_of_all_answers(letters, length_penalty, stop):
    decoder, most = TableDecoder(), 4
    told = DecodingConfig(beams=600, length_penalty=length_penalty, max_new_tokens=most, stop=[stop] if stop else [])
    found = [text for text, _ in ask(Generator(decoder, letters, told), PROMPTS)]
    assert found == [decoder.likeliest(prompt, most, length_penalty, stop) for prompt in PROMPTS]
    assert len(set(found)) > 1


def test_each_row_has_its_own_limit_and_does_not_know_of_the_others(letters):
    generator = Generator(TableDecoder(3), letters, DecodingConfig(beams=3, max_new_tokens=6, repetition_penalty=1.2))
    limits = [6, 2, 0, 1, 5]
    together = ask(generator, PROMPTS, limits)
    assert [ask(generator, [prompt], [limit])[0] for prompt, limit in zip(PROMPTS, limits)] == together
    assert ask(generator, PROMPTS[::-1], limits[::-1])[::-1] == together
    assert together[2] == ("", 0) and all(count <= limit for (_, count), limit in zip(together, limits))
    # One token more or less is another search, not the same one cut.
    narrow = Generator(TableDecoder(3), letters, DecodingConfig(beams=600, length_penalty=0.0))
    assert [ask(narrow, [prompt], [2])[0][0] for prompt in PROMPTS] == [
        TableDecoder(3).likeliest(prompt, 2, 0.0) for prompt in PROMPTS
    ]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['num_beams']}-{case['length_penalty']}")
def test_answers_are_those_of_transformers(case, tmp_path):
    path = str(tmp_path / "a.gguf")
    write_gguf(Path(path), "F32", tied=False, tensors=undecided_weights())
    detokenizer = Detokenizer(load_tokenizer(path), 262)
    detokenizer.special = np.arange(262) == case["end"]
    detokenizer.ordinary = ~detokenizer.special
    told = DecodingConfig(
        beams=case["num_beams"],
        length_penalty=case["length_penalty"],
        repetition_penalty=case["repetition_penalty"],
        max_new_tokens=GOLDEN["new"],
    )
    generator = Generator(CausalDecoder(load_backbone(path, dtype="float32"), 32), detokenizer, told)
    ids = tf.ragged.constant(GOLDEN["prompts"], dtype=tf.int32)
    features = {"token_ids": ids.to_tensor(), "lengths": tf.cast(ids.row_lengths(), tf.int32)}
    written = tf.function(generator._generate, autograph=False)
    generated = written(features, generator.sampling_params(features))[0].numpy()
    assert [row[row >= 0].tolist() for row in generated] == case["answers"]
