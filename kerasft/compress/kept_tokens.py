"""A tokenizer with fewer tokens, which reads a text of kept tokens as before, and any other text in smaller ones.

What each kind of tokenizer has to keep beside the tokens of a corpus, so that this is so:

- WordPiece takes the longest piece that fits, from left to right: what was the longest of all is the longest of those
  that are kept. Single characters stay, so that no text becomes unknown that was not.
- Byte pairs are merged in the order of their rank. All merges inside a token are those of the token alone, since no
  merge crosses its borders; so the parts that a token is merged from stay, and with them their merges, in their order.
- SentencePiece by unigrams takes the likeliest cut: what was the likeliest of all is so among fewer. Single characters
  stay, and the unlikeliest piece, from which the cost of an unknown character follows. SentencePiece by merges
  is like byte pairs, with scores for ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras_hub
import numpy as np
from sentencepiece import sentencepiece_model_pb2

from kerasft.errors import UserError
from kerasft.models.tokenizers.byte_pair import byte_characters

_Piece = sentencepiece_model_pb2.ModelProto.SentencePiece
_MERGES = sentencepiece_model_pb2.TrainerSpec.BPE
_SUFFIX = "##"  # where a tokenizer says nothing else


def trimmed(tokenizer: Any, used: np.ndarray) -> tuple[Any, np.ndarray]:
    """The tokenizer with the tokens that are used, and those that it can't be without.

    Args:
        tokenizer: KerasHub's; it is left as it is.
        used: (tokens,) ids, in any order.

    Returns:
        The new tokenizer, and (new vocabulary,) the old id of each of its ids; ids stay in their order.

    Raises:
        UserError: the tokenizer is of a kind that is not known here.
    """
    for kind, trim in _KINDS:
        if isinstance(tokenizer, kind):
            return trim(tokenizer, set(np.unique(used).tolist()))
    raise UserError(
        f"method=vocabulary: a {type(tokenizer).__name__} can't be trimmed; it takes WordPiece, byte-level BPE and "
        "SentencePiece"
    )


def _word_pieces(tokenizer: Any, used: set[int]) -> tuple[Any, np.ndarray]:
    tokens, config = tokenizer.get_vocabulary(), tokenizer.get_config()
    special = {*tokenizer.special_tokens, *(config["special_tokens"] or []), tokenizer.oov_token}
    suffix = tokenizer.suffix_indicator or _SUFFIX
    kept = [
        number
        for number, token in enumerate(tokens)
        if number in used or token in special or len(token.removeprefix(suffix)) == 1
    ]
    # KerasHub's own config leaves split_on_cjk out (0.25 to 0.32).
    config |= {"vocabulary": [tokens[number] for number in kept], "split_on_cjk": tokenizer.split_on_cjk}
    return type(tokenizer).from_config(config), np.array(kept)


def _byte_pairs(tokenizer: Any, used: set[int]) -> tuple[Any, np.ndarray]:
    ids, merges = dict(tokenizer.vocabulary), list(tokenizer.merges)
    whole = {*tokenizer.special_tokens, *(tokenizer.unsplittable_tokens or []), *byte_characters()}
    ranks = {tuple(merge.split(" ")): -rank for rank, merge in enumerate(merges)}
    kept_tokens = {token for token, number in ids.items() if number in used or token in whole}
    for token in [*kept_tokens - whole]:
        kept_tokens |= merged_parts(token, lambda left, right: ranks.get((left, right)))
    kept = sorted(number for token, number in ids.items() if token in kept_tokens)
    new_ids = {number: new for new, number in enumerate(kept)}
    vocabulary = {token: new_ids[number] for token, number in ids.items() if number in new_ids}
    parts = [merge for merge in merges if _all_kept(merge, vocabulary)]
    config = tokenizer.get_config() | {"vocabulary": vocabulary, "merges": parts}
    made = type(tokenizer).from_config(config)
    if getattr(tokenizer, "strip_left", None) is not None:  # it is set beside KerasHub's own config
        made.strip_left = list(tokenizer.strip_left)
    return made, np.array(kept)


def _all_kept(merge: str, vocabulary: dict[str, int]) -> bool:
    left, right = merge.split(" ")
    return left in vocabulary and right in vocabulary and left + right in vocabulary


def _sentence_pieces(tokenizer: Any, used: set[int]) -> tuple[Any, np.ndarray]:
    model = sentencepiece_model_pb2.ModelProto.FromString(tokenizer.proto)
    pieces = list(model.pieces)
    scores = {piece.piece: piece.score for piece in pieces if piece.type in (_Piece.NORMAL, _Piece.USER_DEFINED)}
    used_pieces = {tokenizer.id_to_token(number) for number in used}
    kept = {piece.piece for piece in pieces if piece.type != _Piece.NORMAL or len(piece.piece) == 1}
    kept |= used_pieces & scores.keys()
    if model.trainer_spec.model_type == _MERGES:
        for token in [*kept & scores.keys()]:
            kept |= merged_parts(token, lambda left, right: scores.get(left + right))
    elif scores:
        kept.add(min(scores, key=scores.__getitem__))
    del model.pieces[:]
    model.pieces.extend(piece for piece in pieces if piece.piece in kept)
    config = tokenizer.get_config() | {"proto": model.SerializeToString(deterministic=True)}
    made = type(tokenizer).from_config(config)
    # Some families number their pieces otherwise than the model, with tokens of their own; so ids go by the token.
    tokens = [made.id_to_token(number) for number in range(made.vocabulary_size())]
    old = np.array([int(tokenizer.token_to_id(token)) for token in tokens])
    if len(set(old.tolist())) < len(old):
        raise UserError(
            f"method=vocabulary: a {type(tokenizer).__name__} gives several tokens the same id, and can't be trimmed"
        )
    return made, old


def merged_parts(token: str, priority: Callable[[str, str], float | None]) -> set[str]:
    """All that a token is merged from, itself included.

    Args:
        token: its characters are where merging begins.
        priority: two parts side by side -> which pair is merged first, the highest; None: they are not merged.
    """
    parts, seen = list(token), set(token)
    while len(parts) > 1:
        pairs = [(priority(*pair), -place) for place, pair in enumerate(zip(parts, parts[1:]))]
        best, place = max(((rank, place) for rank, place in pairs if rank is not None), default=(None, 0))
        if best is None:  # a token that no merge leads to: it is never made of this text
            break
        left = -place
        parts[left : left + 2] = ["".join(parts[left : left + 2])]
        seen.add(parts[left])
    return seen


_KINDS: tuple[tuple[type, Callable[[Any, set[int]], tuple[Any, np.ndarray]]], ...] = (
    (keras_hub.tokenizers.WordPieceTokenizer, _word_pieces),
    (keras_hub.tokenizers.BytePairTokenizer, _byte_pairs),
    (keras_hub.tokenizers.SentencePieceTokenizer, _sentence_pieces),
)


def token_ids_of(features: Iterable[tuple[str, np.ndarray]]) -> np.ndarray:
    """Features of a prepared split -> the distinct ids in them."""
    ids = [np.unique(values) for name, values in features if name.endswith("token_ids")]
    return np.unique(np.concatenate(ids)) if ids else np.empty(0, np.int64)
