"""Texts that models make of train before a training: words of a masked language model, translations, paraphrases.

They are made once, and kept in `augment.folder` with what says which models made them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasft.augmentation_models import MODELS, digests_of, open_source
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.data.augmentation.base import drawn
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.augmentation.registry import protected_words
from kerasft.data.augmentation.synonyms import in_case_of
from kerasft.data.augmentation.words import free_words, is_protected, word_bounds
from kerasft.data.augmentation.written import Alternatives, distinct_rows, read_texts, texts_file, write_texts
from kerasft.data.splits import load_splits
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.inference.predictor import load
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

CHUNK = 1024  # texts that are asked at a time
COMPARED = ("label", "labels", "entities", "answer")  # of an answer: what has to stay the same for a judge


@dataclass(frozen=True)
class Source:
    """A text of train and a text that was made of it."""

    row: dict[str, Any]
    name: str
    text: MarkedText
    edits: list[Edit]

    def rows(self, task: Task, inputs: Sequence[str]) -> Iterator[dict[str, str]]:
        """The row as it is, and with the new text: what a judge reads."""
        texts = task.marked_texts(self.row)
        changed = task.with_texts(self.row, {**texts, self.name: self.text.edited(self.edits)})
        for row in (self.row, changed):
            yield {name: row[name] for name in inputs}


def make_texts(config: Config, tables: Mapping[str, Table] | None, terminal: Terminal, keep: bool = False) -> None:
    """Makes the texts of every method that takes models, where they are not there or other models would make them.

    Args:
        config: with `augment`.
        tables: train among them; None: they are read.
        terminal: shows progress.
        keep: what is there stays, whichever models made it: a run that goes on has to see the same rows.

    Raises:
        UserError: there is no such model, or it does something else.
    """
    if config.augment is None:
        return
    methods = {name: section for name, section in config.augment.methods().items() if name in MODELS}
    if not methods:
        return
    digests = {name: digests_of(name, section) for name, section in methods.items()}
    task = create_task(config)
    task.check_config()
    if tables is None:
        tables = load_splits(config, task, terminal.line)
    else:
        task.fit(tables)
    for name, section in methods.items():
        file = texts_file(config.augment, name, section, tables["train"])
        if file.is_file() and (keep or read_texts(file)[0]["models"] == digests[name]):
            continue
        texts, kept, alternatives = _made(name, section, tables["train"], task, terminal)
        header = {"method": name, "models": digests[name], "texts": texts, "kept": kept}
        write_texts(file, header, alternatives)
        terminal.file(name, file)


def _made(name: str, section: Any, train: Table, task: Task, terminal: Terminal) -> tuple[int, int, Alternatives]:
    """How many texts there are, how many were kept, and these."""
    make = {"masked_lm": _masked, "back_translation": _translated, "paraphrase": _paraphrased}[name](section, task)
    judge = None if section.judge is None else load(section.judge)
    every = list(distinct_rows(train, task))
    alternatives: Alternatives = {}
    kept = 0
    with terminal.progress(name, len(every), unit="texts") as line:
        for start in range(0, len(every), CHUNK):
            part = every[start : start + CHUNK]
            made = [each for each in make(part, start) if each.text.edited(each.edits).text != each.text.text]
            for each in made if judge is None else _judged(made, judge, task):
                several = alternatives.setdefault(each.text.text, [])
                if each.edits not in several:
                    several.append(each.edits)
                    kept += 1
            line.update(start + len(part))
    return len(every), kept, alternatives


def _judged(made: Sequence[Source], judge: Any, task: Task) -> Iterator[Source]:
    """Those whose answer stays the same."""
    rows = [row for each in made for row in each.rows(task, judge.inputs)]
    answers = judge.answer(rows) if rows else []
    for each, (before, after) in zip(made, zip(answers[::2], answers[1::2])):
        if _compared(before) == _compared(after):
            yield each


def _compared(answer: Mapping[str, Any]) -> Any:
    if "entities" in answer:
        return [(entity.get("text"), entity.get("label")) for entity in answer["entities"]]
    found = {name: answer[name] for name in COMPARED if name in answer}
    if not found:
        raise UserError("augment: the judge gives neither labels nor spans, which are compared; name another")
    return found


def _writing(path: str) -> Any:
    """Texts -> texts that a model writes."""
    predictor = load(path)
    return lambda texts: [answer["text"].strip() for answer in predictor.answer(texts)]


def _whole(part: Sequence[tuple[dict[str, Any], str, MarkedText]], write: Any) -> Iterator[Source]:
    """Texts without spans, each with one that is written for it."""
    free = [each for each in part if not each[2].spans and each[2].text.strip()]
    for (row, name, text), new in zip(free, write([text.text for _, _, text in free]) if free else ()):
        if new:
            yield Source(row, name, text, [Edit(0, len(text.text), new)])


def _translated(section: Any, task: Task) -> Any:
    forward, backward = _writing(section.forward), _writing(section.backward)
    return lambda part, start: _whole(part, lambda texts: backward(forward(texts)))


def _paraphrased(section: Any, task: Task) -> Any:
    write = _writing(section.model)
    return lambda part, start: _whole(part, write)


def _masked(section: Any, task: Task) -> Any:
    """Some words of each text at a time are hidden, and replaced by words that are drawn by the model's scores."""
    quiet_tensorflow(verbose=False)
    from kerasft.inference.local import LocalPredictor

    predictor = LocalPredictor(open_source(section.model, "fills masks").load())
    mask, seed = predictor.task.mask_token, task.config.seed
    assert task.config.augment is not None
    protected = protected_words(task.config.augment, task).all

    def make(part: Sequence[tuple[dict[str, Any], str, MarkedText]], start: int) -> Iterator[Source]:
        hidden = []
        for number, copy in itertools.product(range(len(part)), range(section.copies)):
            random = np.random.default_rng([seed, start + number, copy])
            text = part[number][2]
            words = drawn(random, free_words(text, protected), section.words, 1)
            if words:
                shown = text.edited([Edit(start, end, mask) for start, end in words]).text
                hidden.append((part[number], words, shown, random))
        answers = predictor.answer([shown for _, _, shown, _ in hidden]) if hidden else []
        for (source, words, _, random), answer in zip(hidden, answers):
            pairs = zip(words, answer["masks"])
            edits = [edit for bounds, filled in pairs for edit in _filled(source[2], bounds, filled, protected, random)]
            if edits:
                row, name, marked = source
                yield Source(row, name, marked, edits)

    return make


def _filled(
    text: MarkedText, bounds: tuple[int, int], mask: Mapping[str, Any], protected: frozenset[str], random: Any
) -> list[Edit]:
    """A word as one of those that a model puts there: whole ones alone, drawn by their scores."""
    word = text.text[slice(*bounds)]
    fills = [(fill["token"].lstrip("Ġ▁ "), fill["score"]) for fill in mask["fills"]]
    fits = [
        (token, score)
        for token, score in fills
        if word_bounds(token) == [(0, len(token))]
        and token.casefold() != word.casefold()
        and not is_protected(token, protected)
    ]
    if not fits:
        return []
    scores = np.array([score for _, score in fits])
    token, _ = fits[int(random.choice(len(fits), p=scores / scores.sum()))]
    return [Edit(bounds[0], bounds[1], in_case_of(word, token))]
