"""A KerasHub tokenizer -> the files that transformers makes the same tokenizer of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_hub

from kerasft.errors import UserError

_CLASSES = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer", "roberta": "RobertaTokenizer"}
_CLASSES |= {"xlm-roberta": "XLMRobertaTokenizer"}
_PIECES = "sentencepiece.bpe.model"


def write_tokenizer(folder: Path, tokenizer: Any, model_type: str, max_length: int) -> None:
    """Writes tokenizer.json, or SentencePiece's model, with tokenizer_config.json.

    Args:
        folder: exists.
        tokenizer: KerasHub's.
        model_type: of config.json.
        max_length: tokens that texts are cut to.

    Raises:
        UserError: it is of a kind that is not written here.
    """
    settings: dict[str, Any] = {"tokenizer_class": _CLASSES[model_type], "model_max_length": max_length}
    if isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
        settings |= _word_pieces(folder, tokenizer)
    elif isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer) and model_type == "roberta":
        settings |= _byte_pairs(folder, tokenizer)
    elif model_type == "xlm-roberta":
        (folder / _PIECES).write_bytes(tokenizer.proto)
        settings |= {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
        settings |= {"mask_token": "<mask>", "bos_token": "<s>", "eos_token": "</s>"}
    else:
        raise UserError(f"export.formats: huggingface: a {type(tokenizer).__name__} of a {model_type} is not written")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")


def _word_pieces(folder: Path, tokenizer: Any) -> Mapping[str, Any]:
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    from kerasft.models.tokenizers.wordpiece import MAX_CHARACTERS

    tokens = tokenizer.get_vocabulary()
    ids = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(
        models.WordPiece(
            ids,
            unk_token=tokenizer.oov_token,
            max_input_chars_per_word=MAX_CHARACTERS,
            continuing_subword_prefix=tokenizer.suffix_indicator,
        )
    )
    lowercase, strip = bool(tokenizer.lowercase), bool(tokenizer.strip_accents)
    made.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=bool(tokenizer.split_on_cjk), strip_accents=strip, lowercase=lowercase
    )
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = tokenizer.cls_token, tokenizer.sep_token
    made.post_processor = processors.BertProcessing((sep, ids[sep]), (cls, ids[cls]))
    made.decoder = decoders.WordPiece(prefix=tokenizer.suffix_indicator)
    special = [*tokenizer.special_tokens, *(tokenizer.get_config()["special_tokens"] or []), tokenizer.oov_token]
    # In the order of their ids, so that none is given a new one.
    made.add_special_tokens([AddedToken(token, special=True) for token in sorted(set(special), key=ids.__getitem__)])
    made.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    return {
        "do_lower_case": lowercase,
        "strip_accents": strip,
        "tokenize_chinese_chars": bool(tokenizer.split_on_cjk),
        "cls_token": cls,
        "sep_token": sep,
        "pad_token": tokenizer.pad_token,
        "unk_token": tokenizer.oov_token,
        "mask_token": tokenizer.mask_token,
    }


def _byte_pairs(folder: Path, tokenizer: Any) -> Mapping[str, Any]:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    ids = dict(tokenizer.vocabulary)
    space = bool(tokenizer.add_prefix_space)
    made = Tokenizer(models.BPE(ids, [tuple(merge.split(" ")) for merge in tokenizer.merges]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    made.decoder = decoders.ByteLevel()
    start, end = tokenizer.start_token, tokenizer.end_token
    made.post_processor = processors.RobertaProcessing((end, ids[end]), (start, ids[start]), add_prefix_space=space)
    strip_left = getattr(tokenizer, "strip_left", None)
    greedy = {"<mask>"} if strip_left is None else set(strip_left)
    special = [token for token in tokenizer.unsplittable_tokens or [] if token in ids]
    made.add_special_tokens(
        [AddedToken(token, special=True, lstrip=token in greedy) for token in sorted(special, key=ids.__getitem__)]
    )
    made.save(str(folder / "tokenizer.json"))
    return {
        "add_prefix_space": space,
        "bos_token": start,
        "eos_token": end,
        "cls_token": start,
        "sep_token": end,
        "pad_token": tokenizer.pad_token,
        "unk_token": "<unk>",
        "mask_token": tokenizer.mask_token,
    }
