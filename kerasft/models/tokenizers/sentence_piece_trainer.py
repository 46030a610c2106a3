"""A SentencePiece model trained on a corpus, which reads and writes every text as it is."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator

import keras_hub
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from kerasft.errors import UserError
from kerasft.models.tokenizers.sentence_piece import SPACE

# SentencePiece leaves out what is longer than 4,192 bytes; a character has four at most.
LONGEST_LINE = 1000
# A line for each character that is read as another. Pieces have U+2581 for a space, and would write it as one. With no
# rule at all SentencePiece says so on stderr whenever a model is loaded.
READ_AS = f"{ord(SPACE):X}\t{ord('_'):X}\n"
_SETTINGS = {
    # Of unigram models, segmentations that are equally likely are chosen by another rule in TensorFlow Text's
    # SentencePiece than in newer ones, such as those of four spaces; merges have an order.
    "model_type": "bpe",
    "byte_fallback": True,
    # What a text is, pieces spell: nothing is put before it or left out.
    "add_dummy_prefix": False,
    "remove_extra_whitespaces": False,
    "allow_whitespace_only_pieces": True,
    "hard_vocab_limit": False,  # a small corpus gives fewer pieces
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "num_threads": 1,  # sums of several threads would depend on how many there are
    "minloglevel": 2,
}


def train_sentence_pieces(texts: Callable[[], Iterable[str]], size: int) -> keras_hub.models.LlamaTokenizer:
    """A SentencePiece model by merges, with the 256 bytes for what it lacks; the same texts give the same one.

    Kudo and Richardson 2018, arXiv:1808.06226. It is kept as KerasHub's LlamaTokenizer whatever the backbone, because
    that names the tokens `<s>` and `</s>` and is loaded from a preset by KerasHub alone; its plain
    SentencePieceTokenizer names none. The characters that make up 99.95% of the corpus are pieces. Pieces hold no line
    break: that is one token, a byte. The sign U+2581, which stands for a space in pieces, is read as a low line.

    Args:
        texts: gives those of the corpus, each time it is called.
        size: the most pieces, `<unk>`, `<s>`, `</s>` and the bytes included.

    Raises:
        UserError: `size` has no room for the characters, or there is no text.
    """
    model = io.BytesIO()
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
            rules.write(READ_AS)
            rules.flush()
            settings = {"vocab_size": size, "normalization_rule_tsv": rules.name, **_SETTINGS}
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=_lines(texts()), model_writer=model, **settings)
    except RuntimeError as error:
        if needed := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
            raise UserError(
                f"model.architecture.vocabulary_size: {size} is less than the {needed[1]} tokens that the 256 bytes, "
                f"three special tokens and the characters of the corpus need; use {2 * int(needed[1])} or more"
            ) from error
        if "sentences_.empty()" in str(error):
            raise UserError("data.train: no text to train a tokenizer on; give a corpus") from error
        raise
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    proto.normalizer_spec.ClearField("normalization_rule_tsv")  # where the rules were
    return keras_hub.models.LlamaTokenizer(proto=proto.SerializeToString(deterministic=True))


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.split("\n"):
            yield from (line[start : start + LONGEST_LINE] for start in range(0, len(line), LONGEST_LINE))
