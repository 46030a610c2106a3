"""What a data file seems to be: which task its columns are for, and which of them has which role."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerasft.data.sources.literals import looks_like_list, read_list
from kerasft.data.sources.scripts import apart
from kerasft.errors import UserError
from kerasft.quoting import listed

# Names that people give to columns of each role, the usual one first; compared without case and punctuation.
NAMES: Mapping[str, Sequence[str]] = {
    "text": "text sentence content review body message comment utterance document query title 文本 内容".split(),
    "text_pair": "textpair sentence2 text2 hypothesis question2 other".split(),
    "first": "sentence1 text1 premise question1".split(),
    "label": "label labels category class target sentiment intent topic emotion emotions tag stars rating score "
    "relation goldlabel 标签 类别".split(),
    "tokens": "tokens words".split(),
    "tags": "tags nertags labels postags chunktags".split(),
    "spans": "spans entities".split(),
    "question": ("question",),
    "context": "context passage paragraph".split(),
    "answers": "answers answer".split(),
    "messages": "messages conversations conversation".split(),
    "turns": "turns dialog dialogue utterances".split(),
    "input": "input source src prompt instruction article document".split(),
    "output": "output target tgt response completion summary highlights answer".split(),
}  # fmt: skip
MARKED = re.compile(r"<(\w+)>.+?</\1>", re.DOTALL)
MOST_CLASSES = 0.5  # of the rows; more different values are no classes


@dataclass
class Guess:
    """What a file is for.

    Attributes:
        task: keys of the section `task`.
        columns: role -> the column.
        reasons: a line for each thing that was guessed.
        model: what reads such data: `encoder`, `decoder` or `encoder_decoder`.
        cuts: whether what is longer than `model.max_length` is lost, so that it should fit the texts.
    """

    task: dict[str, Any]
    columns: dict[str, str]
    reasons: list[str] = field(default_factory=list)
    model: str = "encoder"
    cuts: bool = True


def guess(rows: Sequence[Mapping[str, Any]], task: str | None = None) -> Guess:
    """The task and the columns of some rows.

    Args:
        rows: the first ones of a file.
        task: the name of the task, where it is known.

    Raises:
        UserError: nothing fits, or the columns that the task needs are not there.
    """
    names = list(rows[0])
    for kind, make in MAKERS.items():
        if task in (None, kind) and (made := make(rows, names)) is not None:
            return made
    if task is None:
        raise UserError(f"no column looks like a text; there are: {listed(names)}; name the task with --task")
    if task not in MAKERS:
        raise UserError(f"--task {task}: no config can be guessed for it; there are: {', '.join(MAKERS)}")
    raise UserError(f"--task {task}: its columns are not there; there are: {listed(names)}")


def column_of(role: str, names: Sequence[str], without: Sequence[str] = ()) -> str | None:
    """The column that bears a usual name of a role; None: none does."""
    plain = {re.sub(r"[\W_]+", "", name.lower()): name for name in reversed(names) if name not in without}
    return next((plain[name] for name in NAMES[role] if name in plain), None)


def _tagged(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Guess | None:
    tokens = column_of("tokens", names)
    tags = column_of("tags", names, [tokens or ""])
    if tokens and tags and _is_list(rows, tokens) and _is_list(rows, tags):
        why = f"columns {tokens} and {tags} have a list in each row: tokens and their tags"
        return Guess({"name": "token_classification"}, {"tokens": tokens, "tags": tags}, [why], cuts=False)
    spans, text = column_of("spans", names), _text_column(rows, names)
    if spans and text and spans != text and _is_list(rows, spans):
        why = f"column {spans} has lists of places in {text}"
        return Guess({"name": "token_classification"}, {"text": text, "spans": spans}, [why], cuts=False)
    return None


def _questions(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Guess | None:
    columns = {role: column_of(role, names) for role in ("question", "context", "answers")}
    if not all(columns.values()):
        return None
    found = {role: name for role, name in columns.items() if name}
    why = f"columns {', '.join(found.values())}: answers in a context"
    return Guess({"name": "question_answering"}, found, [why], cuts=False)


def _dialogues(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Guess | None:
    for role in ("messages", "turns"):
        column = column_of(role, names)
        if column and _is_list(rows, column):
            why = f"column {column} has a list of turns in each row"
            return Guess({"name": "text_generation", "mode": "chat"}, {role: column}, [why], "decoder", False)
    return None


def _relations(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Guess | None:
    text = _text_column(rows, names)
    label = column_of("label", names, [text or ""])
    if not text or not label:
        return None
    tags = [MARKED.findall(str(row.get(text))) for row in rows]
    if not all(len(found) == 2 and set(found) == set(tags[0]) and found[0] != found[1] for found in tags):
        return None
    both = sorted(set(tags[0]))
    why = f"column {text} has two marked parts in each row ({', '.join(both)})"
    return Guess({"name": "relation_extraction", "tags": both}, {"text": text, "label": label}, [why])


def _classes(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Guess | None:
    label = column_of("label", names) or _class_column(rows, names)
    if label is None:
        return None
    pair, first = column_of("text_pair", names, [label]), column_of("first", names, [label])
    text = first if pair and first else _text_column(rows, [name for name in names if name != label])
    if text is None or text == label:
        return None
    columns = {"text": text, **({"text_pair": pair} if pair and first else {}), "label": label}
    problem, why = _problem([row.get(label) for row in rows], label)
    if problem is None:
        return None
    reasons = [f"column {text}: the text", *([f"column {pair}: the other text"] if "text_pair" in columns else []), why]
    return Guess({"name": "text_classification", "problem": problem}, columns, reasons)


def _problem(values: list[Any], label: str) -> tuple[str | None, str]:
    """What kind of label a column has, and why; None: they are no labels."""
    present = [value for value in values if value not in (None, "")]
    if not present:
        return None, ""
    if all(_list_of(value) is not None for value in present):
        return "multi_label", f"column {label} has a list in each row: several labels"
    different = len(set(map(str, present)))
    if all(_is_number(value) for value in present):
        whole = all(float(value) == int(float(value)) for value in present)
        if not whole or different > max(20, MOST_CLASSES * len(present)):
            return "regression", f"column {label} has numbers: a number is predicted"
    if different > max(2, MOST_CLASSES * len(present)):
        return None, ""
    return "single_label", f"column {label} has {different} different values: one label a text"


def _pairs(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Guess | None:
    source = column_of("input", names)
    output = column_of("output", names, [source or ""])
    if column_of("label", names, [output or ""]):
        return None
    if source and output and _is_text(rows, source) and _is_text(rows, output):
        why = f"columns {source} and {output}: a text is written for a text"
        return Guess({"name": "seq2seq"}, {"input": source, "output": output}, [why], "encoder_decoder", False)
    return None


def _texts(rows: Sequence[Mapping[str, Any]], names: list[str]) -> Guess | None:
    text = _text_column(rows, names)
    if text is None:
        return None
    return Guess({"name": "masked_lm"}, {"text": text}, [f"column {text}: texts without labels"], cuts=False)


# Task -> how it is recognised, in the order in which that is tried.
MAKERS = {
    "token_classification": _tagged,
    "question_answering": _questions,
    "text_generation": _dialogues,
    "relation_extraction": _relations,
    "seq2seq": _pairs,
    "text_classification": _classes,
    "masked_lm": _texts,
}


def _text_column(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str | None:
    """The column with a usual name for a text, or else the one with the longest texts."""
    named = column_of("text", names)
    if named and _is_text(rows, named):
        return named
    lengths = {name: _words(rows, name) for name in names if _is_text(rows, name)}
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    return longest if longest is not None and lengths[longest] >= 2 else None


def _class_column(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str | None:
    """The column with fewest different values, of those that could be classes and are no texts."""
    text = _text_column(rows, names)
    counts = {name: len({str(row.get(name)) for row in rows}) for name in names if name != text}
    fit = {name: count for name, count in counts.items() if 2 <= count <= max(2, MOST_CLASSES * len(rows))}
    return min(fit, key=lambda name: fit[name], default=None)


def _is_text(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    values = [row.get(name) for row in rows]
    return any(values) and all(
        value is None or (isinstance(value, str) and not looks_like_list(value)) for value in values
    )


def _words(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(len(apart(row.get(name) or "")) for row in rows) / len(rows)


def _is_list(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    values = [row.get(name) for row in rows]
    return any(values) and all(_list_of(value) is not None or value in (None, "") for value in values)


def _list_of(value: Any) -> list | None:
    if isinstance(value, list):
        return value
    return read_list(value) if isinstance(value, str) and looks_like_list(value) else None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False
