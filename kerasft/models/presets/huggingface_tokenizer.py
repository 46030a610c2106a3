"""The tokenizer of a folder in Hugging Face form, from tokenizer.json or from the files that older ones have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kerasft.errors import UserError
from kerasft.models.presets.huggingface_files import preset_file, read_json
from kerasft.models.presets.tokenizer_json import (
    BYTE_PAIR,
    SENTENCE_PIECE,
    UNIGRAM,
    WORDPIECE,
    Refused,
    TokenizerJson,
    read_tokenizer_json,
    word_piece_settings,
)
from kerasft.models.presets.vocabulary_files import check_same, in_order, read_merges, read_words

if TYPE_CHECKING:
    import keras_hub

_DECODERS = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "smollm3", "gemma", "gemma2", "gemma3_text")
# Kind of tokenizer -> `model_type` -> KerasHub's class; "" is kerasft's own, whose special tokens are told.
_CLASSES: dict[str, dict[str, str]] = {
    WORDPIECE: {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer"},
    BYTE_PAIR: {"roberta": "RobertaTokenizer", "bart": "BartTokenizer", "gpt2": "GPT2Tokenizer"}
    | dict.fromkeys(_DECODERS, ""),
    UNIGRAM: {"xlm-roberta": "XLMRobertaTokenizer", "bert": "XLMRobertaTokenizer", "albert": "AlbertTokenizer"},
    SENTENCE_PIECE: {"llama": "LlamaTokenizer", "mistral": "MistralTokenizer", "mixtral": "MixtralTokenizer"}
    | {"gemma": "GemmaTokenizer", "gemma2": "GemmaTokenizer", "gemma3_text": "Gemma3Tokenizer"},
}
_SHIFTED = "XLMRobertaTokenizer"
# Where SentencePiece's own model lies.
_PIECES = {"xlm-roberta": "sentencepiece.bpe.model", "bert": "sentencepiece.bpe.model", "albert": "spiece.model"}
_END_OF_GPT2 = "<|endoftext|>"


class TokenizerDescription(NamedTuple):
    """A tokenizer before KerasHub's object is made of it.

    Attributes:
        kind: WordPiece, byte-level BPE, Unigram or SentencePiece's BPE, as `tokenizer_json` calls them.
        name: KerasHub's class; "": `ByteLevelTokenizer`.
        highest_id: of all tokens; None: it is known by KerasHub alone.
        arguments: of the class.
        strip_left: tokens that take the white space before them along; None: as KerasHub's class.
    """

    kind: str
    name: str
    highest_id: int | None
    arguments: dict[str, Any]
    strip_left: list[str] | None = None


def find_tokenizer(resolved: str, model_type: str) -> TokenizerDescription:
    """Reads the tokenizer of a folder or of a model on the hub.

    Args:
        resolved: a local folder or a hub's handle.
        model_type: of config.json.

    Raises:
        UserError: there is none, it is none for this model, or it does what is not done here.
        OSError: a file can't be fetched.
    """
    content = read_json(resolved, "tokenizer.json")
    settings = read_json(resolved, "tokenizer_config.json") or {}
    try:
        pieces = _own_pieces(resolved, model_type, content, settings)
        if pieces is not None:
            return _from_pieces(model_type, content, pieces)
        description = None if content is None else read_tokenizer_json(content, settings)
        return _of_description(resolved, model_type, description, settings)
    except Refused as error:
        raise UserError(f"model.preset: {resolved}: {error}; use a model whose tokenizer is of this kind") from None
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise UserError(
            f"model.preset: {resolved}: its tokenizer's files are not what the library tokenizers writes "
            f"({type(error).__name__}: {str(error)[:80]}); fetch the model again"
        ) from None


def _of_description(
    resolved: str, model_type: str, description: TokenizerJson | None, settings: Mapping[str, Any]
) -> TokenizerDescription:
    kind = description.kind if description else _kind_of_files(resolved, model_type)
    if model_type not in _CLASSES[kind]:
        raise Refused(f"it is {kind}", f"a {model_type} is read with {_kinds_of(model_type)}")
    if kind == WORDPIECE:
        return _word_piece(resolved, _CLASSES[kind][model_type], description, settings)
    if kind == BYTE_PAIR:
        return _byte_pair(resolved, model_type, description, settings)
    from kerasft.models.presets import sentence_piece_json

    assert description is not None  # files without tokenizer.json are of the two kinds before
    if kind == UNIGRAM:
        proto = sentence_piece_json.unigram_model(description.content, _CLASSES[kind][model_type] == _SHIFTED)
    else:
        proto = sentence_piece_json.merges_model(description.content)
    return _of_model(kind, model_type, proto, sentence_piece_json.piece_names(proto, None))


def _own_pieces(
    resolved: str, model_type: str, content: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> Path | None:
    """SentencePiece's own model, where the folder has it and its tokenizer is no byte-level BPE."""
    if model_type not in {**_CLASSES[UNIGRAM], **_CLASSES[SENTENCE_PIECE]}:
        return None
    if content is not None and "ByteLevel" in json.dumps(content.get("pre_tokenizer")):
        return None
    if model_type == "bert" and "XLMRoberta" not in str(settings.get("tokenizer_class")):
        return None
    return preset_file(resolved, _PIECES.get(model_type, "tokenizer.model"))


def _from_pieces(model_type: str, content: Mapping[str, Any] | None, pieces: Path) -> TokenizerDescription:
    from kerasft.models.presets.sentence_piece_json import piece_names

    kind = UNIGRAM if model_type in _CLASSES[UNIGRAM] else SENTENCE_PIECE
    proto = pieces.read_bytes()
    names = piece_names(proto, pieces)
    tokenizer = _of_model(kind, model_type, proto, names)
    if tokenizer.name == _SHIFTED:
        names |= {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}
    added = [token["content"] for token in (content or {}).get("added_tokens", [])]
    if unknown := [token for token in added if token not in names]:
        raise Refused(f"it adds the token {unknown[0]!r}", f"{pieces.name} does not have it")
    return tokenizer


def _of_model(kind: str, model_type: str, proto: bytes, names: set[str]) -> TokenizerDescription:
    name = _CLASSES[kind][model_type]
    # XLM-R's ids are the model's and one, and its mask is behind them all.
    return TokenizerDescription(kind, name, len(names) + (1 if name == _SHIFTED else -1), {"proto": proto})


def _kinds_of(model_type: str) -> str:
    return " or ".join(kind for kind, classes in _CLASSES.items() if model_type in classes) or "none"


def _kind_of_files(resolved: str, model_type: str) -> str:
    """Of a folder without tokenizer.json and without SentencePiece's model."""
    if model_type in _CLASSES[WORDPIECE] and preset_file(resolved, "vocab.txt") is not None:
        return WORDPIECE
    if model_type in _CLASSES[BYTE_PAIR] and preset_file(resolved, "vocab.json") is not None:
        return BYTE_PAIR
    usual_files = {WORDPIECE: "vocab.txt", BYTE_PAIR: "vocab.json and merges.txt"}
    pieces = _PIECES.get(model_type, "tokenizer.model")
    files = dict.fromkeys(usual_files.get(kind, pieces) for kind in _CLASSES if model_type in _CLASSES[kind])
    raise UserError(
        f"model.preset: {resolved} has no tokenizer: neither tokenizer.json nor {' nor '.join(files)}; put it beside "
        "the weights, as the tokenizer's save_pretrained writes it"
    )


def _word_piece(
    resolved: str, name: str, description: TokenizerJson | None, settings: Mapping[str, Any]
) -> TokenizerDescription:
    file = preset_file(resolved, "vocab.txt")
    lines = None if file is None else read_words(file)
    if description is None:
        assert lines is not None  # it is WordPiece because of this file
        words, arguments = lines, word_piece_settings(settings, {})
    else:
        words, arguments = in_order(description.vocabulary), {**description.settings}
        if description.added:
            arguments["special_tokens"] = description.added
        check_same(words, lines, file)
    arguments |= {"vocabulary": words, "special_tokens_in_strings": True}
    return TokenizerDescription(WORDPIECE, name, len(words) - 1, arguments)


def _byte_pair(
    resolved: str, model_type: str, description: TokenizerJson | None, settings: Mapping[str, Any]
) -> TokenizerDescription:
    if description is None:
        vocabulary, merges = read_merges(resolved)
        options: dict[str, Any] = {"add_prefix_space": bool(settings.get("add_prefix_space"))}
        added, strip_left = [], None
    else:
        vocabulary, merges, options = description.vocabulary, description.merges, dict(description.settings)
        added, strip_left = description.added, description.strip_left
    digits = options.pop("split_digits", False)
    arguments: dict[str, Any] = {"vocabulary": vocabulary, "merges": merges}
    arguments |= {key: value for key, value in options.items() if value}
    if added:
        arguments["unsplittable_tokens"] = added
    name = _CLASSES[BYTE_PAIR][model_type]
    end = _special(settings, resolved, "eos_token")
    if model_type == "gpt2" and (digits or end not in (None, _END_OF_GPT2) or _END_OF_GPT2 not in vocabulary):
        name = ""
    elif digits and name:
        raise Refused("it splits off each digit", f"KerasHub's {model_type} does not")
    if not name:
        arguments |= _own_tokens(settings, resolved, vocabulary, added) | {"split_digits": digits}
    return TokenizerDescription(BYTE_PAIR, name, max(vocabulary.values()), arguments, strip_left)


def _own_tokens(
    settings: Mapping[str, Any], resolved: str, vocabulary: Mapping[str, int], added: list[str]
) -> dict[str, Any]:
    start, end = (_special(settings, resolved, f"{role}_token") for role in ("bos", "eos"))
    for role, token in (("bos_token", start), ("eos_token", end)):
        if token is not None and token not in vocabulary:
            raise Refused(f"its {role} is {token!r}", "its vocabulary does not have it")
    if end is None:
        raise Refused("it names no eos_token", "a text is ended by one: name it in tokenizer_config.json")
    return {"start_token": start, "end_token": end, "unsplittable_tokens": list(dict.fromkeys([*added, end]))}


def _special(settings: Mapping[str, Any], resolved: str, role: str) -> str | None:
    token = settings.get(role)
    if token is None:
        token = (read_json(resolved, "special_tokens_map.json") or {}).get(role)
    return token.get("content") if isinstance(token, dict) else token


def make_tokenizer(description: TokenizerDescription) -> keras_hub.tokenizers.Tokenizer:
    """KerasHub's object of a tokenizer.

    Raises:
        ValueError: its vocabulary lacks special tokens of the family.
    """
    import keras_hub

    from kerasft.models.tokenizers.byte_level_tokenizer import ByteLevelTokenizer

    kind = getattr(keras_hub.models, description.name) if description.name else ByteLevelTokenizer
    tokenizer = kind(**description.arguments)
    if description.strip_left is not None:
        tokenizer.strip_left = description.strip_left
    return tokenizer
