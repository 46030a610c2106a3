"""Stretches of a text get a type: named entities, chunks, parts of speech."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.data.sources.sources import Record
from kerasft.errors import UserError
from kerasft.keras_models.base import TaskModel
from kerasft.keras_models.columns import LabelNames, named
from kerasft.quoting import listed, quoted
from kerasft.tasks.token_classification.tagged_rows import read_tagged
from kerasft.tasks.token_classification.tags import iob2_tags


@keras.saving.register_keras_serializable(package="kerasft")
class TokenClassifier(TaskModel):
    """The stretches of a text that have a type, such as the names of persons and places.

        >>> model = kerasft.TokenClassifier.from_preset(preset, labels=["team", "bank"])
        >>> history = model.fit(["a goal in trade", "the bank"], [[(2, 6, "team")], [(4, 8, "bank")]], verbose=0)
        >>> sorted(model.predict(["the team"])[0])
        ['entities']

    `labels` are the types. Each text has a list of spans, (start, end, type) or {start, end, label}, in code points,
    the end one past the last; [] where there is none. Or the texts are lists of tokens, and each has a list of tags:
    names such as `B-team` and `O` (the option `scheme`), or numbers in the order of `tags`. A type may be its number.

    An answer is {entities: [{text, type, start, end, score}, ...]}. A row of the model is a window of a text (the
    options `max_length` and `stride`).
    """

    task_name = "token_classification"
    label_role = "spans"

    @classmethod
    def _roles(cls, options: dict[str, Any]) -> tuple[str, ...]:
        return ("text", "spans")

    @classmethod
    def _labelled(cls, labels: Any, options: dict[str, Any]) -> None:
        if labels is None:
            raise UserError("labels are missing; give labels=[...], the types of entities")
        options["labels"] = named(labels)

    @classmethod
    def _first_state(cls, config: Any) -> dict[str, Any]:
        return {"labels": list(config.task.labels)}

    @property
    def tags(self) -> list[str]:
        """The tags that the model gives: O, then B and I of each type."""
        return iob2_tags(self.task.state["labels"])

    def _row(self, record: Record) -> dict[str, Any]:
        names = LabelNames(self.task.state["labels"])
        text, found = record.values["text"], record.values["spans"]
        if not isinstance(found, list):
            raise UserError(f"{record.where}: the label is {quoted(found)}; give a list of spans, or of tags")
        if isinstance(text, list):
            tags = [self._tag(tag, record.where) for tag in found]
            section = self.task.section
            given = Record({"tokens": text, "tags": tags}, record.where)
            row = read_tagged(given, "tokens", "tags", section.joiner, section.scheme)
            row = row | {"label": row.pop("types"), "where": record.where}
        else:
            spans = [self._span(span, names, record.where) for span in found]
            row = self.task.parse(Record({"text": text, "spans": spans}, record.where))
        return row | {"label": [names.name(label, record.where) for label in row["label"]]}

    def _tag(self, tag: Any, where: str) -> str:
        if not isinstance(tag, int):
            return tag
        if not 0 <= tag < len(self.tags):
            known = f"0 to {len(self.tags) - 1} are {listed(self.tags)}"
            raise UserError(f"{where}: there is no tag with the number {tag}; {known}")
        return self.tags[tag]

    def _span(self, span: Any, names: LabelNames, where: str) -> Any:
        """A span whose type may be a number -> one with the name."""
        if isinstance(span, list) and len(span) == 3 and isinstance(span[2], int):
            return [*span[:2], names.name(span[2], where)]
        if isinstance(span, dict) and isinstance(span.get("label"), int):
            return span | {"label": names.name(span["label"], where)}
        return span
