"""Graphs of tokenizers that all tests of a process share.

A tokenizer is a graph of hundreds of operations. A program makes one for a model; a process of tests makes hundreds of
programs, nearly all of them with the same few vocabularies, and tracing was a fifth of what a tiny training took.
Encoders have no state, so models whose tokenizers are the same to the last byte get the same one.
"""

from __future__ import annotations

from collections.abc import Callable

import keras_hub

from kerasft.models.tokenizers import encoder
from kerasft.models.tokenizers.byte_pair import BytePairEncoder
from kerasft.models.tokenizers.digest import tokenizer_digest
from kerasft.models.tokenizers.wordpiece import WordPieceEncoder

EACH_ITS_OWN = encoder._ENCODERS  # as programs have them
OURS = (WordPieceEncoder, BytePairEncoder)  # SentencePiece's is KerasHub's tokenizer itself

_made: dict[tuple[type, str], encoder.Encoder] = {}


def share_encoders() -> None:
    """From now on `token_encoder` gives one encoder for tokenizers that are the same."""
    encoder._ENCODERS = tuple((family, _shared(make) if make in OURS else make) for family, make in EACH_ITS_OWN)


def _shared(make: Callable[..., encoder.Encoder]) -> Callable[[keras_hub.tokenizers.Tokenizer], encoder.Encoder]:
    def made(tokenizer: keras_hub.tokenizers.Tokenizer) -> encoder.Encoder:
        key = (make, tokenizer_digest(tokenizer))
        if key not in _made:
            _made[key] = make(tokenizer)
        return _made[key]

    return made
