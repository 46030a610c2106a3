"""A model from scratch: a tokenizer trained on a corpus, and a random backbone of the sizes that a config names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import keras
import keras_hub

from kerasft.config.model import ModelConfig
from kerasft.errors import UserError
from kerasft.models.tokenizers.byte_pair import byte_characters
from kerasft.models.tokenizers.sentence_piece_trainer import train_sentence_pieces

Texts = Callable[[], Iterable[str]]
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# KerasHub's tokenizer of a family that writes texts, and its special tokens; GPT-2's begins, ends and parts texts.
BYTE_LEVEL: dict[str, tuple[type[keras_hub.tokenizers.BytePairTokenizer], list[str]]] = {
    "gpt2": (keras_hub.models.GPT2Tokenizer, ["<|endoftext|>"]),
    "bart": (keras_hub.models.BartTokenizer, ["<s>", "<pad>", "</s>"]),
}
BACKBONES = {
    "bert": keras_hub.models.BertBackbone,
    "gpt2": keras_hub.models.GPT2Backbone,
    "bart": keras_hub.models.BartBackbone,
}
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
DROPOUT = 0.1  # as BERT's and GPT-2's, where a config names none
FEWEST_OCCURRENCES = 2  # of a pair of pieces that is joined


def train_tokenizer(texts: Texts, size: int, lowercase: bool) -> keras_hub.models.BertTokenizer:
    """A WordPiece tokenizer with BERT's normalisation; the same texts give the same vocabulary.

    Args:
        texts: gives those of the corpus, each time it is called.
        size: the most tokens of the vocabulary, special tokens included.
        lowercase: lower-case texts and strip accents.

    Raises:
        UserError: the corpus has more characters than `size` has room for, or no text.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    characters = sorted({sign for text in texts() for sign in tokenizer.normalizer.normalize_str(text)} - {" "})
    # Characters are given ids here, as special tokens, because the trainer would number those inside words in the
    # order of a hash table, which differs from run to run, and break ties between merges by these numbers.
    alphabet = [*SPECIAL_TOKENS, *characters, *(f"##{sign}" for sign in characters)]
    if not characters:
        raise UserError("data.train: no text to train a tokenizer on; give a corpus")
    if len(alphabet) > size:
        raise UserError(
            f"model.architecture.vocabulary_size: {size} is less than the {len(alphabet)} that the {len(characters)} "
            f"characters of the corpus need; use {2 * len(alphabet)} or more"
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=FEWEST_OCCURRENCES, special_tokens=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    ids = tokenizer.get_vocab()
    vocabulary = sorted(ids, key=ids.__getitem__)
    return keras_hub.models.BertTokenizer(vocabulary, lowercase=lowercase, strip_accents=lowercase)


def train_byte_pairs(texts: Texts, size: int, family: str = "gpt2") -> keras_hub.tokenizers.BytePairTokenizer:
    """A byte-level BPE tokenizer that splits words as GPT-2's does; the same texts give the same vocabulary.

    Args:
        texts: gives those of the corpus, each time it is called.
        size: the most tokens of the vocabulary, special tokens and all 256 bytes included.
        family: a key of BYTE_LEVEL.

    Raises:
        UserError: `size` has no room for a merge beside the bytes, or the corpus has no pair of bytes to merge.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    kind, special = BYTE_LEVEL[family]
    _check_room(size, len(special) + 256 + 1, "the 256 bytes, the special tokens and a merge")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=FEWEST_OCCURRENCES,
        special_tokens=special,
        initial_alphabet=byte_characters(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    merges = [" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    if not merges:
        raise UserError("data.train: no pair of bytes occurs twice in the texts; give a corpus")
    ids = tokenizer.get_vocab()
    return kind({token: ids[token] for token in sorted(ids, key=ids.__getitem__)}, merges)


def character_tokenizer(texts: Texts, size: int, family: str = "gpt2") -> keras_hub.tokenizers.BytePairTokenizer:
    """A tokenizer with a token for each character of the corpus, as byte-level BPE.

    A character of several bytes is merged from its first byte on. Every byte is a token too, so that a character that
    the corpus lacks is read and can be written, as the bytes it has.

    Args:
        texts: gives those of the corpus, each time it is called.
        size: the most tokens of the vocabulary.
        family: a key of BYTE_LEVEL.

    Raises:
        UserError: there are more characters than `size` has room for.
    """
    # The sign for what is no UTF-8 is always known: KerasHub's tokenizer (0.25 to 0.32) needs a merge.
    characters = sorted({*(sign for text in texts() for sign in text), REPLACEMENT})
    kind, special = BYTE_LEVEL[family]
    names, ids, merges = byte_characters(), {token: number for number, token in enumerate(special)}, []
    for name in names:
        ids[name] = len(ids)
    for sign in characters:
        first, *others = (names[byte] for byte in sign.encode("utf-8", "replace"))
        for other in others:
            if first + other not in ids:
                ids[first + other] = len(ids)
                merges.append(f"{first} {other}")
            first += other
    _check_room(size, len(ids), f"the {len(characters)} characters of the corpus")
    return kind(ids, merges)


def _check_room(size: int, needed: int, what: str) -> None:
    if size < needed:
        raise UserError(
            f"model.architecture.vocabulary_size: {size} is less than the {needed} tokens that {what} need; "
            f"use {needed} or more"
        )


def start_from_scratch(
    model: ModelConfig, texts: Texts, dtype: str, positions: int
) -> tuple[keras_hub.models.Backbone, keras_hub.tokenizers.Tokenizer]:
    """The backbone and tokenizer of `model.architecture`; the weights are drawn from Keras' global seed.

    Args:
        model: the section `model` of a config.
        texts: gives those of the training split, each time it is called.
        dtype: policy of the layers.
        positions: tokens that a text can have, where the architecture does not say.

    Raises:
        UserError: see `train_tokenizer`, `train_byte_pairs`, `character_tokenizer` and `train_sentence_pieces`.
    """
    sizes = model.architecture
    assert sizes is not None  # a config without a preset has one
    if sizes.family == "bert":
        tokenizer = train_tokenizer(texts, sizes.vocabulary_size, sizes.lowercase)
    elif sizes.tokens == "sentencepiece":
        tokenizer = train_sentence_pieces(texts, sizes.vocabulary_size)
    else:
        train = character_tokenizer if sizes.tokens == "characters" else train_byte_pairs
        tokenizer = train(texts, sizes.vocabulary_size, sizes.family)
    backbone = BACKBONES[sizes.family](
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        hidden_dim=sizes.hidden,
        intermediate_dim=sizes.intermediate,
        dropout=DROPOUT if model.dropout is None else model.dropout,
        max_sequence_length=sizes.positions or positions,
        dtype=dtype,
    )
    if sizes.family == "bart":
        spread_kernels(backbone)
    return backbone, tokenizer


def spread_kernels(backbone: keras.Model) -> None:
    """Draws the kernels of the layers anew, as wide as their inputs and outputs ask for (Glorot and Bengio 2010).

    KerasHub draws a BART's with a deviation of 0.02 whatever its width, which is made for 1024 units. At 256 what an
    attention layer's values and outputs let through is a tenth of what stands beside it in the residual, and a decoder
    takes longer to make use of its encoder; docs/tasks/seq2seq.md has figures.

    Args:
        backbone: BART; its embeddings stay as they are.
    """
    width = backbone.hidden_dim
    for variable in backbone.trainable_variables:
        if not variable.path.endswith("/kernel"):
            continue
        # Keras takes the three axes of an attention layer's kernel for those of a convolution; it is a square matrix.
        flat = variable.shape if len(variable.shape) == 2 else (width, width)
        variable.assign(keras.ops.reshape(keras.initializers.GlorotUniform()(flat), variable.shape))
