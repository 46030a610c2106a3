"""Answers that are held to labels, patterns and schemas: every one is whole, and no row knows of another."""

import json
import random
import re

import jsonschema
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.decoders import SPECS

from kerasft.config.constraint import ConstraintConfig
from kerasft.config.text_generation import DecodingConfig
from kerasft.models.constraints.held_tokens import HeldTokens
from kerasft.models.constraints.language import constraint_tokens
from kerasft.models.generation.cached_decoder import CausalDecoder
from kerasft.models.generation.choices import LETTERS, Choices
from kerasft.models.generation.constraint import Constraint
from kerasft.models.generation.generator import Generator, SamplingParams

LENGTH = 256
PROMPTS = [[5, 9, 30], [70], list(range(40, 60)), [12, 12, 80, 3]]


class Bytes:
    """The detokenizer of a vocabulary of the 256 bytes, two longer tokens and one that ends a text."""

    opening = None

    def __init__(self):
        self.token_bytes = [bytes([value]) for value in range(256)] + [b'": ', b"refund", b""]
        self.ordinary = np.array([True] * 258 + [False])
        self.special = ~self.ordinary

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        pieces = tf.gather(tf.constant(self.token_bytes), tf.maximum(ids, 0))
        return tf.strings.reduce_join(tf.where(ids >= 0, pieces, b""), axis=1)

    def opened(self, text, prompt_ids):
        return text

    def opens(self, prompt_ids):
        return tf.zeros([tf.shape(prompt_ids)[0]], tf.bool)


class Writer:
    """A random decoder whose graph takes the tables of a constraint as inputs: it is traced once for all of them."""

    def __init__(self, **decoding):
        self.bytes = Bytes()
        self.backbone = keras_hub.models.GPT2Backbone(
            vocabulary_size=259, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16,
            max_sequence_length=LENGTH,
        )  # fmt: skip
        numbers = np.random.default_rng(0)
        self.backbone.set_weights([numbers.normal(0, 0.6, weight.shape) for weight in self.backbone.weights])
        self.decoding = DecodingConfig(**decoding)
        column = {name: tf.TensorSpec([None], kind) for name, kind in SPECS.items()}
        prompts = {"token_ids": tf.TensorSpec([None, None], tf.int32), "lengths": tf.TensorSpec([None], tf.int32)}
        one, two = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int16)
        tables = HeldTokens(one, two, one, tf.TensorSpec([None], tf.bool), one)
        self.write = tf.function(self._write, [tables, prompts, SamplingParams(**column)], autograph=False)

    def _write(self, tables, features, params):
        decoder = CausalDecoder(self.backbone, LENGTH)
        return Generator(decoder, self.bytes, self.decoding, Constraint(tables, self.bytes))(features, params)

    def __call__(self, constraint: dict, prompts=PROMPTS, **params) -> list[bytes]:
        """What is written for each prompt."""
        ids = np.zeros((len(prompts), max(map(len, prompts))), np.int32)
        for row, prompt in zip(ids, prompts):
            row[: len(prompt)] = prompt
        values = {"max_new_tokens": 64, "temperature": 1.0, "top_p": 1.0, "seed": range(len(prompts))} | params
        columns = {name: tf.constant(np.resize(value, len(prompts)), SPECS[name]) for name, value in values.items()}
        spelling = self.bytes.token_bytes, self.bytes.ordinary, False
        held = constraint_tokens(ConstraintConfig(**constraint), *spelling, LENGTH)
        features = {"token_ids": tf.constant(ids), "lengths": tf.constant([len(prompt) for prompt in prompts])}
        tables = HeldTokens(*map(tf.constant, held))
        return self.write(tables, features, SamplingParams(**columns))["text"].numpy().tolist()


@pytest.fixture(scope="module")
def writer():
    return Writer()


LABELS = ["refund", "refund now", "card lost"]


def test_labels_and_patterns(writer):
    drawn = writer({"labels": LABELS}, [[number] for number in range(40)])
    assert {text.decode() for text in drawn} == set(LABELS)
    assert set(writer({"labels": LABELS}, temperature=0.0)) <= {text.encode() for text in LABELS}
    for text in writer({"regex": r"[a-zé]{2,}(, [A-Z]\d*)*!"}, max_new_tokens=[5, 6, 20, 64]):
        assert re.fullmatch(r"[a-zé]{2,}(, [A-Z]\d*)*!", text.decode())
    assert writer({"labels": ["card"]}, max_new_tokens=[3, 4, 0, 9]) == [b"", b"card", b"", b"card"]


def test_a_row_is_held_alike_whatever_stands_beside_it(writer):
    constraint = {"regex": r"(\w+ ){2,4}\w+"}
    together = writer(constraint)
    assert len(set(together)) > 1
    assert [writer(constraint, [prompt], seed=[seed])[0] for seed, prompt in enumerate(PROMPTS)] == together


def test_beams_find_the_likeliest_label(writer):
    beams, labels = Writer(beams=4), ["a", "b", "xy"]  # none of which another one goes on
    for prompt, answer in zip(PROMPTS, beams({"labels": labels}, temperature=0.0)):
        scores = [score(writer, prompt, [*label.encode()]) for label in labels]
        assert answer.decode() == labels[int(np.argmax(scores))], scores
    assert re.fullmatch(rb"[ab]{3}", beams({"regex": "[ab]{3}"}, [[3]])[0])


def score(writer, prompt: list[int], way: list[int]) -> float:
    """The mean log-probability of a label's tokens."""
    from kerasft.models.heads.causal_lm import CausalLM

    row = np.array([[*prompt, *way]], np.int32)
    logits = CausalLM(writer.backbone)({"token_ids": row, "padding_mask": np.ones_like(row)}).numpy()[0]
    odds = tf.nn.log_softmax(logits).numpy()
    return sum(odds[len(prompt) + step - 1, token] for step, token in enumerate(way)) / len(way)


def random_schema(draw: random.Random, depth: int = 0) -> dict:
    """A schema of what is taken."""
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "pattern", "const"]
    kind = draw.choice(kinds if depth > 2 else [*kinds, "object", "object", "array", "any"])
    if kind == "string":
        return {"type": "string", "minLength": draw.randint(0, 2), "maxLength": draw.randint(2, 6)}
    if kind == "integer":
        least = draw.randint(-500, 500)
        return {"type": "integer", "minimum": least, "exclusiveMaximum": least + draw.randint(1, 900)}
    if kind == "number":
        return {"type": ["number", "null"], "minimum": draw.randint(-9, 0), "maximum": draw.randint(0, 30)}
    if kind == "enum":
        return {"enum": draw.sample(["é", 'a"b', 3, -1.5, None, True, "x\ty"], draw.randint(1, 4))}
    if kind == "const":
        return {"const": draw.choice(["only", 7, [1, "a"], {"k": None}])}
    if kind == "pattern":
        return {"type": "string", "pattern": draw.choice(["^[A-Z]{2}\\d+$", "a|b", '^"[^x]*$', "^\\S{1,3}\\W$"])}
    if kind == "array":
        return {"type": "array", "items": random_schema(draw, depth + 1), "maxItems": draw.randint(0, 3)}
    if kind == "any":
        return {"anyOf": [random_schema(draw, depth + 1) for _ in range(2)]}
    if kind == "object":
        names = draw.sample(["a", "b c", "ü", 'q"', "z"], draw.randint(0, 3))
        required = [name for name in names if draw.random() < 0.6]
        properties = {name: random_schema(draw, depth + 1) for name in names}
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"type": kind}


def test_the_letter_of_an_option_in_the_prompt(writer):
    prompts = ["Which?\nA. one\nB) two\n(D) three A: x\nEnd. C.f\n", "A: 1", "no options. a. b", "A. x\n B. y"]
    ids = tf.ragged.constant([list(prompt.encode()) for prompt in prompts], tf.int32).to_tensor(-1)
    choices = Choices(writer.bytes)
    states = choices.start(ids).numpy()
    letters = [{letter for place, letter in enumerate(LETTERS) if state >> place & 1} for state in states]
    assert letters == [{"A", "B", "D"}, {"A"}, set(), {"A", "B"}]
    scores = tf.constant(np.random.default_rng(0).normal(size=(4, 259)), tf.float32)
    scores = tf.where(tf.range(259) == ord("C"), 9.0, scores)  # the likeliest is no option
    best = tf.argmax(choices.allowed(scores, tf.constant(states), tf.ones(4, tf.int32)), 1, tf.int32)
    assert chr(best[0]) in "ABD" and chr(best[1]) == "A" and chr(best[3]) in "AB"
    none = choices.impossible(tf.constant(states), tf.constant([1, 0, 1, 1])).numpy().tolist()
    assert none == [False, True, True, False]
    assert choices.complete(choices.step(tf.constant(states), best)).numpy().all()


@pytest.mark.parametrize(
    "seeds", [range(40), pytest.param(range(40, 1040), marks=pytest.mark.long)], ids=["few", "all"]
)
def test_every_answer_is_valid_by_its_schema(writer, seeds):
    texts = set()
    for seed in seeds:
        schema = random_schema(random.Random(seed))
        limits = [200, 230, 150, 240]
        for text in writer({"json_schema": schema}, temperature=[0.0, 1.0, 2.0, 1.0], max_new_tokens=limits):
            assert text, schema  # 150 tokens are enough for the shortest
            jsonschema.validate(json.loads(text.decode("utf-8")), schema)
            texts.add(text)
    assert len(texts) > len(seeds) // 4  # many schemas have a few answers alone, and share them
