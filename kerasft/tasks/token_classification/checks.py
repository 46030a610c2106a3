"""What an inspection looks for in entities and tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.config.tasks import TokenClassificationConfig
from kerasft.data.quality.base import MOST_ROWS, Check, Example, Finding, Inspected
from kerasft.data.quality.borders import inside_word
from kerasft.data.quality.folding import folded_with_symbols
from kerasft.errors import BadRow
from kerasft.quoting import cut
from kerasft.tasks.token_classification.tagged_rows import read_tags
from kerasft.tasks.token_classification.tags import SCHEMES, IllFormed, spans_of_tags, tag_form

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

SHOWN = 5  # entities in a sentence


class EntityBorders(Check):
    """Entities that begin or end inside a word; tokens of the data are words by themselves and are left out."""

    kinds = {"entities_off_word_borders": "warning"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        if "spans" not in data.config.data.columns:
            return
        for rows in data:
            notes = {}
            for row, (text, starts, ends) in enumerate(zip(*map(rows.column, ("text", "starts", "ends")))):
                off = [(start, end) for start, end in zip(starts, ends) if inside_word(text, start, end)]
                if off:
                    notes[row] = ", ".join(f"{text[start:end]!r} from {start} to {end}" for start, end in off[:3])
            if notes:
                what = "have an entity that begins or ends inside a word"
                yield self.finding("entities_off_word_borders", rows, notes, what, "task.units: pieces", notes)


class SurfaceTypes(Check):
    """Words that are entities of several types: some are right, and some are slips."""

    kinds = {"surfaces_of_several_types": "info"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        for rows in data:
            kinds_of: dict[str, Counter[str]] = {}
            first_row: dict[str, dict[str, int]] = {}
            for row, entities in enumerate(_surfaces(rows)):
                for surface, kind in entities:
                    kinds_of.setdefault(surface, Counter())[kind] += 1
                    first_row.setdefault(surface, {}).setdefault(kind, row)
            several = {surface: kinds for surface, kinds in kinds_of.items() if len(kinds) > 1}
            if several:
                order = sorted(several, key=lambda surface: (-several[surface].total(), surface))
                summary = ", ".join(f"{cut(surface)} ({_counts(several[surface])})" for surface in order[:SHOWN])
                what = f"{len(several):,} entities have several types in {rows.name}: {summary}"
                examples = tuple(
                    rows.example(row, f"{surface}: {kind}")
                    for surface in order
                    for kind, row in sorted(first_row[surface].items())
                )
                kind = "surfaces_of_several_types"
                yield Finding(kind, rows.name, len(several), "info", what, "", examples[:MOST_ROWS])


def _surfaces(rows) -> Iterator[list[tuple[str, str]]]:
    for text, starts, ends, kinds in zip(*map(rows.column, ("text", "starts", "ends", "label"))):
        yield [(folded_with_symbols(text[start:end]), kind) for start, end, kind in zip(starts, ends, kinds)]


def _counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda each: (-each[1], each[0])))


class TagScheme(Check):
    """Rows whose tags break the scheme that most rows keep."""

    kinds = {"broken_tag_scheme": "warning"}

    def __init__(self) -> None:
        self.rows = 0
        self.broken: dict[str, list[tuple[str, Example]]] = {scheme: [] for scheme in SCHEMES if scheme != "plain"}

    def see(self, split: str, record: Record, config: Config) -> None:
        columns, section = config.data.columns, config.task
        auto = isinstance(section, TokenClassificationConfig) and section.scheme == "auto"
        if "tags" not in columns or not auto:
            return  # a scheme that is named is held to by the reader
        try:
            tags = read_tags(record, columns["tags"], "auto")
        except BadRow:
            return  # told as a broken row
        if not any(tag_form(tag) and tag != "O" for tag in tags):
            return
        self.rows += 1
        for scheme, examples in self.broken.items():
            try:
                spans_of_tags(tags, scheme)
            except IllFormed as error:
                examples.append((split, Example(record.where, " ".join(tags), str(error))))

    def find(self, data: Inspected) -> Iterator[Finding]:
        scheme = min(self.broken, key=lambda name: len(self.broken[name]))
        if not self.rows or len(self.broken[scheme]) == 0:
            return
        for split in data.splits:
            examples = [example for at, example in self.broken[scheme] if at == split]
            if examples:
                what = (
                    f"{len(examples):,} rows have tags that break {scheme}, which the others keep: {examples[0].note}"
                )
                fix = f"fix the tags, and set task.scheme: {scheme}"
                excerpt, detail = tuple(examples[:MOST_ROWS]), {"scheme": scheme}
                yield Finding("broken_tag_scheme", split, len(examples), "warning", what, fix, excerpt, detail)
