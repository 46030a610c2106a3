"""A model from scratch: a tokenizer trained on a corpus, and a random backbone of the sizes that a config names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras_hub

from kerasft.config.schema import Model
from kerasft.errors import UserError

Texts = Callable[[], Iterable[str]]
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
DROPOUT = 0.1  # as BERT's, where a config names none
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
    known = [*SPECIAL_TOKENS, *characters, *(f"##{sign}" for sign in characters)]
    if not characters:
        raise UserError("data.train: no text to train a tokenizer on; give a corpus")
    if len(known) > size:
        raise UserError(
            f"model.architecture.vocabulary_size: {size} is less than the {len(known)} that the {len(characters)} "
            f"characters of the corpus need; use {2 * len(known)} or more"
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=FEWEST_OCCURRENCES, special_tokens=known, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    ids = tokenizer.get_vocab()
    vocabulary = sorted(ids, key=ids.__getitem__)
    return keras_hub.models.BertTokenizer(vocabulary, lowercase=lowercase, strip_accents=lowercase)


def start_from_scratch(
    model: Model, texts: Texts, dtype: str
) -> tuple[keras_hub.models.Backbone, keras_hub.models.BertTokenizer]:
    """The backbone and tokenizer of `model.architecture`; the weights are drawn from Keras' global seed.

    Args:
        model: the section `model` of a config.
        texts: gives those of the training split, each time it is called.
        dtype: policy of the layers.

    Raises:
        UserError: see `train_tokenizer`.
    """
    sizes = model.architecture
    tokenizer = train_tokenizer(texts, sizes.vocabulary_size, sizes.lowercase)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(tokenizer.get_vocabulary()),
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        hidden_dim=sizes.hidden,
        intermediate_dim=sizes.intermediate,
        dropout=DROPOUT if model.dropout is None else model.dropout,
        max_sequence_length=sizes.positions or model.max_length,
        dtype=dtype,
    )
    return backbone, tokenizer
