"""Tokenizers of the library and ours beside each other, and backbones of each family."""

from collections.abc import Callable

import keras
import keras_hub
import pytest
import tensorflow as tf
from support.families import (
    BACKBONES,
    SMOLLM_SPECIAL,
    byte_pair_arguments,
    make_tokenizer,
    train_byte_pair,
    train_wordpiece,
    wordpiece_vocabulary,
)
from tokenizers import Tokenizer

from kerasft.models.tokenizers.byte_level_tokenizer import ByteLevelTokenizer
from kerasft.models.tokenizers.encoder import clean, token_encoder


class Reference:
    """A tokenizer trained with `tokenizers`, and ours with the same vocabulary."""

    def __init__(self, tokenizer: Tokenizer, keras_tokenizer: keras_hub.tokenizers.Tokenizer):
        self.tokenizer, self.keras_tokenizer = tokenizer, keras_tokenizer
        self.encoder = token_encoder(keras_tokenizer)
        self._encode = tf.function(
            lambda text: self.encoder(clean(text)), input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )

    def ours(self, texts: list[str] | list[bytes]) -> list[list[int]]:
        return [
            row for i in range(0, len(texts), 512) for row in self._encode(tf.constant(texts[i : i + 512])).to_list()
        ]

    def theirs(self, texts: list[str]) -> list[list[int]]:
        return [found.ids for found in self.tokenizer.encode_batch(texts, add_special_tokens=False)]


def _wordpiece_reference(lowercase: bool, strip_accents: bool | None) -> Reference:
    tokenizer = train_wordpiece(lowercase, strip_accents)
    accents = lowercase if strip_accents is None else strip_accents
    vocabulary = wordpiece_vocabulary(tokenizer)
    bert = keras_hub.models.BertTokenizer(vocabulary=vocabulary, lowercase=lowercase, strip_accents=accents)
    return Reference(tokenizer, bert)


def _byte_pair_reference(prefix_space: bool, gpt2: bool) -> Reference:
    tokenizer = train_byte_pair(prefix_space, gpt2)
    arguments = byte_pair_arguments(tokenizer)
    if gpt2:
        return Reference(tokenizer, keras_hub.models.GPT2Tokenizer(**arguments))
    added = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    roberta = keras_hub.models.RobertaTokenizer(**arguments, add_prefix_space=prefix_space, unsplittable_tokens=added)
    return Reference(tokenizer, roberta)


def _smollm_reference() -> Reference:
    tokenizer = train_byte_pair(gpt2=True, digits=True)
    told = {"split_digits": True, "unsplittable_tokens": ["<|endoftext|>", *SMOLLM_SPECIAL]}
    return Reference(tokenizer, ByteLevelTokenizer(**byte_pair_arguments(tokenizer), **told))


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Reference]:
    """Returns a function: name -> Reference, each made once."""
    makers = {
        "uncased": lambda: _wordpiece_reference(True, None),
        "cased": lambda: _wordpiece_reference(False, None),
        "uncased_accents": lambda: _wordpiece_reference(True, False),
        "gpt2": lambda: _byte_pair_reference(False, True),
        "roberta": lambda: _byte_pair_reference(False, False),
        "roberta_prefix": lambda: _byte_pair_reference(True, False),
        "smollm": _smollm_reference,
    }
    made: dict[str, Reference] = {}

    def get(name: str) -> Reference:
        if name not in made:
            made[name] = makers[name]()
        return made[name]

    return get


@pytest.fixture(params=sorted(BACKBONES))
def family(request) -> str:
    """The name of each family in turn."""
    return request.param


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Callable[[str], keras_hub.tokenizers.Tokenizer]:
    """Returns a function: family -> its tokenizer, each made once."""
    made: dict[str, keras_hub.tokenizers.Tokenizer] = {}

    def make(name: str) -> keras_hub.tokenizers.Tokenizer:
        if name not in made:
            made[name] = make_tokenizer(name)
        return made[name]

    return make


@pytest.fixture
def make_backbone(tiny_tokenizer) -> Callable[[str], keras.Model]:
    """Returns a function: family -> a random backbone of three layers, 8 wide, for `tiny_tokenizer`."""
    return lambda name: BACKBONES[name](tiny_tokenizer(name).vocabulary_size())
