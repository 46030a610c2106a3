"""tokenizer.json, as the library tokenizers and transformers write it -> vocabulary and settings, or why not.

Without TensorFlow. What the tokenizers of kerasft do not do is refused by its name: other ids than those a model was
trained with are worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

WORDPIECE, BYTE_PAIR, UNIGRAM, SENTENCE_PIECE = "WordPiece", "byte-level BPE", "Unigram", "SentencePiece's BPE"


class Refused(ValueError):
    """tokenizer.json asks for something that is not done here.

    Args:
        what: it asks for.
        here: what is done.
    """

    def __init__(self, what: str, here: str):
        super().__init__(f"tokenizer.json: {what}; {here}")


class TokenizerJson(NamedTuple):
    """What is read of the file.

    Attributes:
        kind: one of the names above.
        vocabulary: token -> id, added tokens included; for the SentencePiece kinds too.
        merges: of byte-level BPE, `left right`.
        added: tokens that are found in texts, in the order of their ids.
        strip_left: those of them that take the white space before them along.
        settings: WordPiece: `lowercase`, `strip_accents`, `split_on_cjk`; byte-level BPE: `add_prefix_space`,
            `split_digits`.
        content: the whole file.
    """

    kind: str
    vocabulary: dict[str, int]
    merges: list[str]
    added: list[str]
    strip_left: list[str]
    settings: dict[str, Any]
    content: Mapping[str, Any]


def read_tokenizer_json(content: Mapping[str, Any], settings: Mapping[str, Any]) -> TokenizerJson:
    """Reads the file.

    Args:
        content: tokenizer.json.
        settings: tokenizer_config.json, which wins where both speak, as in transformers; {}: there is none.

    Raises:
        Refused: see above.
        KeyError, TypeError: it is not of the library's form.
    """
    model = content["model"]
    kind = _kind(content)
    if kind in (UNIGRAM, SENTENCE_PIECE):
        pieces = model["vocab"]
        vocabulary = dict(pieces) if isinstance(pieces, dict) else {str(one[0]): i for i, one in enumerate(pieces)}
    else:
        vocabulary = dict(model["vocab"])
    added = content.get("added_tokens", [])
    _check_added(added, kind)
    for token in added:
        number = vocabulary.setdefault(token["content"], token["id"])
        if number != token["id"]:
            raise Refused(
                f"the added token {token['content']!r} has the id {token['id']}", f"its vocabulary says {number}"
            )
    merges, arguments = [], {}
    if kind == WORDPIECE:
        arguments = _word_piece(content, settings)
        _check_as_written(added, arguments)
    if kind == BYTE_PAIR:
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        arguments = _byte_pair(content)
    names = [token["content"] for token in sorted(added, key=lambda token: token["id"])]
    strip_left = [token["content"] for token in added if token.get("lstrip")]
    return TokenizerJson(kind, vocabulary, merges, names, strip_left, arguments, content)


def _kind(content: Mapping[str, Any]) -> str:
    kind = content["model"].get("type")
    if kind in (WORDPIECE, UNIGRAM):
        return kind
    if kind != "BPE":
        raise Refused(f"its model is {kind}", "WordPiece, BPE and Unigram are read here")
    if any(part["type"] == "ByteLevel" for part in _parts(content.get("pre_tokenizer"))):
        return BYTE_PAIR
    if content["model"].get("byte_fallback"):
        return SENTENCE_PIECE
    before = " and ".join(part["type"] for part in _parts(content.get("pre_tokenizer"))) or "null"
    raise Refused(f"its model is BPE with the pre_tokenizer {before}", "ByteLevel, or byte_fallback, is done here")


def _parts(component: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The parts of a normalizer or pre-tokenizer, which may be a Sequence of Sequences."""
    if not component:
        return []
    inside = component.get("normalizers") or component.get("pretokenizers")
    return [component] if inside is None else [part for one in inside for part in _parts(one)]


def _check_added(added: list[Mapping[str, Any]], kind: str) -> None:
    for token in added:
        name = token["content"]
        if token.get("single_word"):
            raise Refused(
                f"the added token {name!r} is found as a whole word only (single_word)", "tokens are found anywhere"
            )
        if token.get("rstrip") and kind != WORDPIECE:  # white space is nothing to WordPiece
            raise Refused(f"the added token {name!r} takes white space behind it (rstrip)", "that stays here")
        if kind in (UNIGRAM, SENTENCE_PIECE) and not token.get("special"):
            raise Refused(
                f"{name!r} is an added token and not special", "a SentencePiece model has its own pieces alone"
            )


def _check_as_written(added: list[Mapping[str, Any]], settings: Mapping[str, Any]) -> None:
    """Tokens that the library finds in lower-cased text are found in the text as it is written here."""
    changes = settings["lowercase"] or settings["strip_accents"]
    content = next((token["content"] for token in added if token.get("normalized") and changes), None)
    if content is not None:
        raise Refused(
            f"the added token {content!r} is found in normalized text (normalized: true)",
            "tokens are found in the text as it is written",
        )


def _word_piece(content: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    model = content["model"]
    normalizers, before = _parts(content.get("normalizer")), _parts(content.get("pre_tokenizer"))
    names = [part["type"] for part in normalizers]
    if names != ["BertNormalizer"]:
        raise Refused(f"its normalizer is {' and '.join(names) or 'null'}", "WordPiece has BertNormalizer here")
    if normalizers[0].get("clean_text") is False:
        raise Refused("its normalizer leaves control characters (clean_text: false)", "they are removed here")
    names = [part["type"] for part in before]
    if names != ["BertPreTokenizer"]:
        raise Refused(f"its pre_tokenizer is {' and '.join(names) or 'null'}", "WordPiece has BertPreTokenizer here")
    for key, value in {
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "unk_token": "[UNK]",
    }.items():
        if model.get(key, value) != value:
            raise Refused(f"{key} is {model[key]!r}", f"it is {value!r} here")
    return word_piece_settings(settings, normalizers[0])


def word_piece_settings(settings: Mapping[str, Any], normalizer: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of KerasHub's WordPiece tokenizer.

    Args:
        settings: tokenizer_config.json, which wins: transformers makes the normalizer anew from it.
        normalizer: the BertNormalizer of tokenizer.json; {}: there is none.
    """

    def setting(key: str, other: str) -> bool:
        return normalizer.get(other, True) if settings.get(key) is None else settings[key]

    lowercase = setting("do_lower_case", "lowercase")
    accents = settings.get("strip_accents", normalizer.get("strip_accents"))
    chinese = setting("tokenize_chinese_chars", "handle_chinese_chars")
    return {
        "lowercase": bool(lowercase),
        # null: accents are stripped where text is lower-cased.
        "strip_accents": bool(lowercase if accents is None else accents),
        "split_on_cjk": bool(chinese),
    }


def _byte_pair(content: Mapping[str, Any]) -> dict[str, Any]:
    model = content["model"]
    if normalizers := [part["type"] for part in _parts(content.get("normalizer"))]:
        raise Refused(f"its normalizer is {' and '.join(normalizers)}", "byte-level BPE has none here")
    before = _parts(content.get("pre_tokenizer"))
    names = [part["type"] for part in before]
    if names not in (["ByteLevel"], ["Digits", "ByteLevel"]):
        raise Refused(
            f"its pre_tokenizer is {' and '.join(names)}",
            "words are split as GPT-2 does (ByteLevel), or so behind single Digits",
        )
    if before[-1].get("use_regex") is False:
        raise Refused("its pre_tokenizer does not split words (use_regex: false)", "they are split as GPT-2 does")
    if len(before) > 1 and not before[0].get("individual_digits"):
        raise Refused("its pre_tokenizer splits off numbers whole", "each digit is split off by itself, or none")
    for key, value in {"dropout": (None, 0.0), "byte_fallback": (False, None), "ignore_merges": (False, None)}.items():
        if model.get(key) not in value:
            raise Refused(f"{key} is {model[key]!r}", f"it is {value[0]!r} here")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Refused(f"{key} is {model[key]!r}", "there is none here")
    return {"add_prefix_space": bool(before[-1].get("add_prefix_space")), "split_digits": len(before) > 1}
