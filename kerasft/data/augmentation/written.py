"""Texts that models made of train beforehand: kept in a file, with what they were made from and by which models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.atomic import write_atomically
from kerasft.config.augment import AugmentConfig
from kerasft.config.schema import Config
from kerasft.config.section import Section
from kerasft.data.augmentation.base import Augmenter, Protected
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.errors import UserError
from kerasft.invocation import command

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task
    from kerasft.tasks.base.augmentable import Augmentable

Alternatives = dict[str, list[list[Edit]]]  # text -> edits of each text that was made of it
WHERE = "where"  # the column that says where a row was read


class Written(Augmenter):
    """Gives a text one of those that a model made of it; a text of which none was kept stays.

    Attributes:
        alternatives: of each text of train.
    """

    def __init__(self, section: Any, protected: Protected | None = None):
        super().__init__(section, protected)
        self.alternatives: Alternatives = {}

    def learn(self, train: Table, task: Task) -> Sequence[str]:
        assert task.config.augment is not None
        file = texts_file(task.config.augment, self.name, self.section, train)
        if not file.is_file():
            raise UserError(
                f"augment.{self.name}: its texts are not made yet, or of other rows or settings; make them with: "
                f"{command('augment', 'CONFIG')}"
            )
        header, self.alternatives = read_texts(file)
        return (f"augment.{self.name}: {header['kept']:,} texts for {header['texts']:,}, from {file}",)

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        several = self.alternatives.get(text.text, ())
        if not several:
            return []
        return [edit for edit in several[int(random.integers(len(several)))] if not text.touches(*edit[:2])]


class MaskedLM(Written):
    """Words are replaced by what a masked language model puts there (Wu et al. 2018, arXiv:1812.06705), where a judge's
    answer stays the same.
    """

    name = "masked_lm"


class _WholeTexts(Written):
    """A text as a whole is another then, so that no span of it could be kept."""

    @classmethod
    def check(cls, section: Section, config: Config, task: Augmentable) -> None:
        if task.typed_spans:
            raise UserError(
                f"augment.{cls.name}: not for {config.task.name}, whose entities would not be found again in a text "
                "that is written anew; use mentions or masked_lm"
            )


class BackTranslation(_WholeTexts):
    """A text that was translated into another language and back (Sennrich et al. 2016, arXiv:1511.06709)."""

    name = "back_translation"


class Paraphrase(_WholeTexts):
    """A text that a model wrote in other words."""

    name = "paraphrase"


def texts_file(augment: AugmentConfig, name: str, section: Section, train: Table) -> Path:
    """Where the texts of a method are kept: another file for other rows, settings or protected words.

    Args:
        augment: `folder` and `protect` are read.
        name: of the method.
        section: its own.
        train: the rows.
    """
    made_from = [section.model_dump(mode="json"), augment.protect, train.fingerprint(without=(WHERE,))]
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return Path(augment.folder) / f"{name}-{key[:24]}.jsonl"


def write_texts(file: Path, header: dict[str, Any], alternatives: Alternatives) -> None:
    """Writes texts whole or not at all; `header` is what `read_texts` gives back."""
    lines = [header, *({"text": text, "edits": several} for text, several in alternatives.items())]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_texts(file: Path) -> tuple[dict[str, Any], Alternatives]:
    """Header and texts of a file of `write_texts`. Raises UserError: it is none."""
    try:
        # Not splitlines: a text may have separators of lines that JSON leaves as they are, such as U+2028.
        header, *lines = map(json.loads, file.read_text(encoding="utf-8").rstrip("\n").split("\n"))
        alternatives = {line["text"]: [[Edit(*edit) for edit in edits] for edits in line["edits"]] for line in lines}
        return {**header, "kept": header["kept"], "texts": header["texts"]}, alternatives
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"augment.folder: {file} is damaged ({type(error).__name__}); remove it") from error


def distinct_rows(train: Table, task: Task) -> Iterator[tuple[dict[str, Any], str, MarkedText]]:
    """Each text of train once: the first row that has it, the text's name there, and the text."""
    seen: set[str] = set()
    for batch in train.batches(1024):
        for values in zip(*batch.values()):
            row = dict(zip(batch, values))
            for name, marked in task.marked_texts(row).items():
                if marked.text not in seen:
                    seen.add(marked.text)
                    yield row, name, marked
