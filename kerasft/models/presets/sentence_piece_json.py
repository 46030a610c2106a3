"""A SentencePiece tokenizer that transformers wrote as tokenizer.json -> the SentencePiece model with the same ids."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sentencepiece
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2

from kerasft.errors import UserError
from kerasft.models.presets.tokenizer_json import Refused

SPACE = "\u2581"  # stands for a space in a piece
_Piece = sentencepiece_model_pb2.ModelProto.SentencePiece
_LEFT_ALONE = ("Cn", "Cs", "Co")  # categories without a normal form: unassigned, surrogates, private


def unigram_model(tokenizer: Mapping[str, Any], fairseq: bool) -> bytes:
    """The model of a `Unigram` tokenizer.

    Args:
        tokenizer: tokenizer.json.
        fairseq: whether it is for KerasHub's XLM-R, whose ids are SentencePiece's and one, behind four special tokens.

    Raises:
        Refused: it asks for what SentencePiece does not do.
    """
    model = tokenizer["model"]
    pieces = [(str(piece), float(score)) for piece, score in model["vocab"]]
    unknown = pieces[model["unk_id"]][0]
    special = {token["content"] for token in tokenizer.get("added_tokens", [])}
    if fairseq:
        pieces = _without_fairseq_ids(pieces)
    proto = _model(pieces, special, unknown, sentencepiece_model_pb2.TrainerSpec.UNIGRAM)
    _set_spaces(proto, tokenizer, split=True)
    return proto.SerializeToString(deterministic=True)


def _without_fairseq_ids(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """KerasHub's XLM-R puts `<s> <pad> </s> <unk>` first and `<mask>` last by itself."""
    first = [piece for piece, _ in pieces[:4]]
    if first != ["<s>", "<pad>", "</s>", "<unk>"] or pieces[-1][0] != "<mask>":
        raise Refused(
            f"its vocabulary begins with {' '.join(first)}", "XLM-R's has <s> <pad> </s> <unk>, and <mask> last"
        )
    return [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *pieces[4:-1]]


def merges_model(tokenizer: Mapping[str, Any]) -> bytes:
    """The model of a `BPE` tokenizer with bytes for what it cannot spell, as Llama's and Mistral's.

    Raises:
        Refused: its merges are none that SentencePiece would do.
    """
    model = tokenizer["model"]
    vocabulary: dict[str, int] = model["vocab"]
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise Refused("its ids have gaps", "SentencePiece's are 0, 1, 2, ...")
    ranks: dict[str, int] = {}
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    special = {token["content"] for token in tokenizer.get("added_tokens", [])}
    _check_merges(vocabulary, merges, ranks, special)
    last = len(merges)
    pieces = [(piece, -float(ranks.get(piece, last))) for piece in sorted(vocabulary, key=vocabulary.__getitem__)]
    unknown = model.get("unk_token") or "<unk>"
    if unknown not in vocabulary:
        raise Refused(f"its vocabulary lacks {unknown}", "SentencePiece needs an unknown token")
    proto = _model(pieces, special, unknown, sentencepiece_model_pb2.TrainerSpec.BPE)
    proto.trainer_spec.byte_fallback = True
    _set_spaces(proto, tokenizer, split=False)
    proto.normalizer_spec.remove_extra_whitespaces = False
    return proto.SerializeToString(deterministic=True)


def _check_merges(
    vocabulary: Mapping[str, int], merges: list[tuple[str, ...]], ranks: Mapping[str, int], special: set[str]
) -> None:
    """SentencePiece merges any two pieces that make a third, the best third first; so must these."""
    pairs = set(merges)
    for piece in (one for one in vocabulary if one not in special):
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocabulary and right in vocabulary and (left, right) not in pairs:
                raise Refused(f"its merges lack {left!r} and {right!r}", "SentencePiece would join them")
    newest = [ranks[left + right] for left, right in merges]
    if any(one > other for one, other in zip(newest, newest[1:])):
        raise Refused("its merges do not go piece by piece", "SentencePiece's do")


def _model(
    pieces: Iterable[tuple[str, float]],
    special: set[str],
    unknown: str,
    kind: sentencepiece_model_pb2.TrainerSpec.ModelType,
) -> sentencepiece_model_pb2.ModelProto:
    proto = sentencepiece_model_pb2.ModelProto()
    for piece, score in pieces:
        entry = proto.pieces.add(piece=piece, score=score)
        if piece == unknown:
            entry.type = _Piece.UNKNOWN
        elif piece in special:
            entry.type = _Piece.CONTROL
        elif len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            entry.type = _Piece.BYTE
    proto.trainer_spec.model_type = kind
    proto.trainer_spec.vocab_size = len(proto.pieces)
    names = [entry.piece for entry in proto.pieces]
    proto.trainer_spec.unk_id = names.index(unknown)
    proto.trainer_spec.unk_piece = unknown
    for role, options in {
        "bos": ("<s>", "[CLS]", "<bos>"),
        "eos": ("</s>", "[SEP]", "<eos>"),
        "pad": ("<pad>",),
    }.items():
        spelling = next((token for token in options if token in names), None)
        setattr(proto.trainer_spec, f"{role}_id", -1 if spelling is None else names.index(spelling))
        if spelling is not None:
            setattr(proto.trainer_spec, f"{role}_piece", spelling)
    proto.normalizer_spec.name = "tokenizer.json"
    proto.normalizer_spec.escape_whitespaces = True
    return proto


def _set_spaces(proto: sentencepiece_model_pb2.ModelProto, tokenizer: Mapping[str, Any], split: bool) -> None:
    """Normalizer and pre-tokenizer of tokenizer.json -> SentencePiece's normalizer."""
    normalizer, before = tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")
    parts = [] if normalizer is None else normalizer.get("normalizers", [normalizer])
    spaces = [part for part in (before or {}).get("pretokenizers", [before]) if part]
    kinds = [part["type"] for part in spaces]
    if not split and _legacy(parts) is not None and not spaces:
        proto.normalizer_spec.add_dummy_prefix = bool(_legacy(parts))
        return
    if not split and parts:
        raise Refused(f"its normalizer is {_types(parts)}", "a space becomes \u2581 here, and nothing else")
    if kinds not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]) or (split and kinds[0] != "WhitespaceSplit"):
        supported = "WhitespaceSplit and Metaspace" if split else "Metaspace"
        raise Refused(f"its pre_tokenizer is {_types(spaces) or 'null'}", f"{supported} is done here")
    metaspace = spaces[-1]
    scheme = metaspace.get("prepend_scheme", "always" if metaspace.get("add_prefix_space", True) else "never")
    if metaspace.get("replacement", SPACE) != SPACE:
        raise Refused(f"a space is {metaspace['replacement']!r} in its pieces", f"SentencePiece has {SPACE!r}")
    proto.normalizer_spec.add_dummy_prefix = scheme != "never"
    proto.normalizer_spec.remove_extra_whitespaces = split
    if split:
        proto.normalizer_spec.precompiled_charsmap = _character_map(parts)


def _legacy(parts: list[Mapping[str, Any]]) -> bool | None:
    """Whether Llama's old normalizer puts a space first; None: it is another one."""
    replaced = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    if parts == [{"type": "Prepend", "prepend": SPACE}, replaced]:
        return True
    return False if parts == [replaced] else None


def _character_map(parts: list[Mapping[str, Any]]) -> bytes:
    """What normalizers make of each character, in SentencePiece's compiled form; white space becomes a space.

    Raises:
        Refused: a normalizer whose work is not done character by character.
    """
    supported = ("Precompiled", "NFKD", "NFD", "StripAccents", "Lowercase", "Replace", "Strip")
    if others := [part["type"] for part in parts if part["type"] not in supported]:
        raise Refused(f"its normalizer is {others[0]}", f"{', '.join(supported)} are done here")
    strings = [part for part in parts if part["type"] == "Replace" and "String" in part["pattern"]]
    patterns = [part for part in parts if part["type"] == "Replace" and "String" not in part["pattern"]]
    for part in patterns:
        if part["pattern"].get("Regex") != " {2,}":  # runs of spaces are one here anyway
            raise Refused(f"its normalizer replaces {part['pattern']}", "strings are replaced here")
    kinds = [part for part in parts if part not in patterns]
    if [part["type"] for part in kinds] in (["Precompiled"], ["Precompiled", "Strip"]):
        return base64.b64decode(kinds[0]["precompiled_charsmap"])
    normalize = _normalizer([part for part in kinds if part["type"] != "Strip"])
    rules = {part["pattern"]["String"]: normalize(part["content"]) for part in strings}
    for code in range(1, 0x110000):
        character = chr(code)
        if unicodedata.category(character) not in _LEFT_ALONE:
            becomes = "".join(" " if one.isspace() else one for one in normalize(character))
            if becomes != character:
                rules[character] = becomes
    return _compiled(rules)


def _normalizer(parts: list[Mapping[str, Any]]) -> Any:
    if not parts:
        return str
    from tokenizers import Tokenizer, models

    # The library reads a normalizer as a part of a whole tokenizer only.
    whole = json.loads(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).to_str())
    whole["normalizer"] = {"type": "Sequence", "normalizers": parts}
    return Tokenizer.from_str(json.dumps(whole)).normalizer.normalize_str


def _compiled(rules: Mapping[str, str]) -> bytes:
    """Rules in the form that SentencePiece reads at run time; its trainer alone makes it."""
    lines = "".join(f"{_hexes(one)}\t{_hexes(other)}\n" for one, other in rules.items())
    output = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder:
        path = Path(folder) / "rules.tsv"
        path.write_text(lines, encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c"] * 3),
            model_writer=output,
            vocab_size=7,
            model_type="char",
            normalization_rule_tsv=str(path),
            hard_vocab_limit=False,
            minloglevel=2,
        )
    return sentencepiece_model_pb2.ModelProto.FromString(output.getvalue()).normalizer_spec.precompiled_charsmap


def _hexes(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)


def _types(parts: list[Mapping[str, Any]]) -> str:
    return " and ".join(str(part.get("type")) for part in parts)


def piece_names(proto: bytes, file: Path | None) -> set[str]:
    """The pieces of a model.

    Raises:
        UserError: a file of it is damaged.
    """
    try:
        names = {piece.piece for piece in sentencepiece_model_pb2.ModelProto.FromString(proto).pieces}
    except DecodeError:
        names = set()
    if not names:
        raise UserError(f"model.preset: {file} is no SentencePiece model; fetch the model again")
    return names
