"""What a Hugging Face folder says about its tokenizer beyond what KerasHub reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HF_PREFIX = "hf://"


def tokenizer_settings(resolved: str) -> dict[str, Any]:
    """Arguments of KerasHub's tokenizer that make it the one of tokenizer.json and tokenizer_config.json.

    Args:
        resolved: a local folder or a hub's handle; one in KerasHub's form needs nothing and gets {}.

    Raises:
        OSError, ValueError: a file can't be read or is not JSON; see `kerasft.models.presets.presets`.
    """
    config = read_json(resolved, "config.json")
    if config is None or "model_type" not in config:
        return {}
    tokenizer = read_json(resolved, "tokenizer.json") or {}
    settings = read_json(resolved, "tokenizer_config.json") or {}
    kind = tokenizer.get("model", {}).get("type")
    if kind == "WordPiece" or (kind is None and "do_lower_case" in settings):
        return _wordpiece(tokenizer, settings)
    if kind == "BPE" and "ByteLevel" in json.dumps(tokenizer.get("pre_tokenizer")):
        return _byte_pair(tokenizer)
    return {}


def sentence_piece_file(resolved: str) -> tuple[str, str] | None:
    """The kind of model and the SentencePiece file of a Llama or Mistral in Hugging Face form; None: it has none.

    KerasHub (0.25 to 0.32) reads the tokenizer of every Llama as Llama 3's, byte by byte, and that of a Mistral, where
    it knows two kinds, as whichever of them Python lists first.

    Raises:
        OSError, ValueError: a file can't be read, or the tokenizer is SentencePiece's and its model is not there.
    """
    kind = (read_json(resolved, "config.json") or {}).get("model_type")
    if kind not in ("llama", "mistral"):
        return None
    tokenizer = read_json(resolved, "tokenizer.json")
    if tokenizer is not None and "ByteLevel" in json.dumps(tokenizer.get("pre_tokenizer")):
        return None
    path = _file(resolved, "tokenizer.model")
    if path is None and tokenizer is not None:
        raise ValueError("its tokenizer.json is no byte-level BPE, and there is no tokenizer.model of SentencePiece's")
    return None if path is None else (kind, str(path))


def _wordpiece(tokenizer: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    # Where both speak, tokenizer_config.json wins: transformers makes the normalizer anew from it.
    normalizer = _find(tokenizer.get("normalizer"), "BertNormalizer")
    lowercase = settings.get("do_lower_case", normalizer.get("lowercase", True))
    accents = settings.get("strip_accents", normalizer.get("strip_accents"))
    chinese = settings.get("tokenize_chinese_chars", normalizer.get("handle_chinese_chars", True))
    found: dict[str, Any] = {
        # null: accents are stripped where text is lower-cased.
        "strip_accents": bool(lowercase if accents is None else accents),
        "split_on_cjk": bool(chinese),
        "special_tokens_in_strings": True,
    }
    if added := _added_tokens(tokenizer):
        found["special_tokens"] = added
    return found


def _byte_pair(tokenizer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if _find(tokenizer.get("pre_tokenizer"), "ByteLevel").get("add_prefix_space"):
        found["add_prefix_space"] = True
    if added := _added_tokens(tokenizer):
        found["unsplittable_tokens"] = added
    return found


def _added_tokens(tokenizer: dict[str, Any]) -> list[str]:
    return [token["content"] for token in tokenizer.get("added_tokens", [])]


def _find(component: dict[str, Any] | None, kind: str) -> dict[str, Any]:
    """The part of this type in a component of tokenizer.json, which may be a Sequence of parts; {} if none."""
    if not component:
        return {}
    if component.get("type") == kind:
        return component
    parts = component.get("normalizers") or component.get("pretokenizers") or []
    return next((found for part in parts if (found := _find(part, kind))), {})


# Key of a BART's config -> the key whose value KerasHub (0.25 to 0.32) takes for it, or the value that it has there.
_READ_AS = {
    "encoder_layers": "num_hidden_layers",
    "decoder_layers": "num_hidden_layers",
    "decoder_attention_heads": "encoder_attention_heads",
    "decoder_ffn_dim": "encoder_ffn_dim",
}
_FIXED = {"scale_embedding": False, "activation_function": "gelu"}


def check_architecture(resolved: str) -> None:
    """Raises ValueError for a BART that KerasHub would read as another one.

    Args:
        resolved: a local folder or a hub's handle.
    """
    config = read_json(resolved, "config.json") or {}
    if config.get("model_type") != "bart":
        return
    for key, other in _READ_AS.items():
        if config.get(key, config.get(other)) != config.get(other):
            taken = f"{other}, {config.get(other)}"
            raise ValueError(f"{key} is {config[key]}, which KerasHub's BART does not read: it takes {taken}")
    for key, value in _FIXED.items():
        if config.get(key, value) != value:
            raise ValueError(f"{key} is {config[key]}, and KerasHub's BART has {value}")


def read_json(resolved: str, name: str) -> dict[str, Any] | None:
    """A JSON file of a folder or of a model on the Hugging Face hub; None where there is none.

    Raises:
        OSError, ValueError: it can't be fetched, or is not JSON.
    """
    path = _file(resolved, name)
    return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def _file(resolved: str, name: str) -> Path | None:
    if resolved.startswith(HF_PREFIX):
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            path = Path(hf_hub_download(resolved.removeprefix(HF_PREFIX), name))
        except LocalEntryNotFoundError:  # no network: whether the file exists is not known
            raise
        except EntryNotFoundError:
            return None
    else:
        path = Path(resolved) / name
    return path if path.is_file() else None
