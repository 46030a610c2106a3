"""Vocabularies in files of their own: vocab.txt, vocab.json with merges.txt, and what KerasHub saves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kerasft.errors import UserError
from kerasft.models.presets.huggingface_files import preset_file, read_json
from kerasft.models.presets.tokenizer_json import Refused


def read_words(file: Path) -> list[str]:
    """Words of vocab.txt; blank lines at its end are none."""
    with file.open(encoding="utf-8") as opened:
        lines = [line.rstrip("\n") for line in opened]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def check_same(words: list[str], lines: list[str] | None, file: Path | None) -> None:
    """vocab.txt beside tokenizer.json has the same words, but for those that were added behind them."""
    if lines is None or lines == words[: len(lines)]:
        return
    at = next((i for i, (one, other) in enumerate(zip(lines, words)) if one != other), len(words))
    raise UserError(
        f"model.preset: {file}, line {at + 1}, has {lines[at][:40]!r}, and tokenizer.json has "
        f"{words[at][:40]!r} there; "
        if at < len(words)
        else f"model.preset: {file} has {len(lines):,} words and tokenizer.json {len(words):,}; "
        "remove the one that is not the model's"
    )


def in_order(vocabulary: Mapping[str, int]) -> list[str]:
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    for number, word in enumerate(words):
        if vocabulary[word] != number:
            raise Refused(
                f"the token {word!r} has the id {vocabulary[word]}", f"WordPiece's ids have no gaps, {number} is next"
            )
    return words


def read_merges(resolved: str) -> tuple[dict[str, int], list[str]]:
    vocabulary = read_json(resolved, "vocab.json")
    assert vocabulary is not None  # it is byte-level BPE because of this file
    file = preset_file(resolved, "merges.txt")
    if file is None:
        raise UserError(f"model.preset: {resolved} has vocab.json and no merges.txt; fetch the model again")
    merges = file.read_text(encoding="utf-8").split("\n")
    return vocabulary, [line for line in merges if line.strip() and not line.startswith("#version:")]


def highest_id_of_assets(folder: Path) -> int | None:
    """Of the vocabulary that KerasHub saved in a folder; None: it is in a form that its tokenizer alone reads."""
    assets = folder / "assets" / "tokenizer"
    words, table = assets / "vocabulary.txt", assets / "vocabulary.json"
    if words.is_file():
        return len(read_words(words)) - 1
    if table.is_file():
        return max(json.loads(table.read_text(encoding="utf-8")).values(), default=0)
    return None
