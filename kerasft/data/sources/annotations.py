"""Rows of Label Studio's and doccano's exports, made flat: texts, spans and choices as columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from kerasft.data.sources.reading import Row
from kerasft.errors import UserError
from kerasft.quoting import quoted

Values = dict[str, Any]


class Unannotated(dict):
    """The data of a task of Label Studio that nobody has annotated yet, or only such who cancelled it."""


def flat_annotations(rows: Iterator[Row], columns: Collection[str] = ()) -> Iterator[Row]:
    """Rows of any JSON -> the same; of exports of Label Studio (JSON and JSON-MIN) and doccano, flat ones.

    Of doccano's rows, and of JSON-MIN's, spans get the keys start, end and label. In Label Studio's JSON a task
    {"data": {...}, "annotations": [{"result": [...]}]} becomes the keys of `data`, `spans` (a list of {start, end,
    label}), `labels` (a list of all choices), and for each control of the labelling page, by its name, its spans or
    choices, or its number or text. The first annotation counts that was not cancelled; a task without one has its data
    alone.

    Args:
        rows: of JSON.
        columns: that the config reads. Where some are keys of `data`, the others are controls, which have an empty
            list in an annotation that makes no use of them.

    Raises:
        UserError: the offsets of a span do not give its text, or a span has no label or is marked in a page.
    """
    for values, where in rows:
        if "annotations" in values and isinstance(values.get("data"), dict):
            yield _task(values, columns, where), where
        elif "annotation_id" in values or "entities" in values or "annotations" in values:
            yield {key: _plain(value) for key, value in values.items()}, where
        else:
            yield values, where


def _plain(value: Any) -> Any:
    """Several choices, as JSON-MIN writes them, as a list; spans with the keys that spans have here."""
    if isinstance(value, dict) and list(value) == ["choices"]:
        return value["choices"]
    if isinstance(value, list):
        return [plain_span(item) if isinstance(item, dict) else item for item in value]
    return value


def plain_span(item: Values) -> Values:
    """A span with the keys of doccano or Label Studio -> one with start, end and label; another as it is."""
    if "start_offset" in item and "end_offset" in item:
        return {"start": item["start_offset"], "end": item["end_offset"], "label": item.get("label")}
    labels = item.get("labels")
    if "start" in item and "end" in item and isinstance(labels, list) and len(labels) == 1:
        text = {"text": item["text"]} if isinstance(item.get("text"), str) else {}
        return {"start": item["start"], "end": item["end"], "label": labels[0]} | text
    return item


def _task(values: Values, columns: Collection[str], where: str) -> Values:
    row = dict(values["data"])
    annotations = values["annotations"] if isinstance(values["annotations"], list) else []
    valid = [each for each in annotations if isinstance(each, dict) and not each.get("was_cancelled")]
    if not valid:
        return Unannotated(row)
    row |= {"spans": [], "labels": []}
    if not values["data"].keys().isdisjoint(columns):
        row = {column: [] for column in columns} | row
    for result in valid[0].get("result") or []:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            continue
        if isinstance(value.get("choices"), list):
            column, items = "labels", value["choices"]
        elif "start" in value:
            _check_labels(value, result.get("type"), where)
            text = values["data"].get(_text_at(result, "to_name"))
            column, items = "spans", _spans(value, text if isinstance(text, str) else _only_text(values), where)
        else:
            row |= {_text_at(result, "from_name"): value[kind] for kind in ("rating", "number") if kind in value}
            continue
        row[column] = row[column] + items
        control = _text_at(result, "from_name")
        if control not in ("spans", "labels") and control not in values["data"]:
            row[control] = row.get(control, []) + items
    return row


def _check_labels(value: Values, kind: Any, where: str) -> None:
    """Raises UserError for a span without a label, or one that is marked in a page or a dialogue."""
    if not isinstance(value["start"], int) and kind != "labels":
        raise UserError(f"{where}: a span of the type {quoted(kind)}; spans are read of texts alone, marked by Labels")
    if not isinstance(value.get("labels"), list) or not value["labels"]:
        what = f"the span {quoted(value.get('text'))} from {value['start']} has no label"
        raise UserError(f"{where}: {what}; give it one, or remove it")


def _text_at(result: Values, key: str) -> str:
    return result[key] if isinstance(result.get(key), str) else ""


def _only_text(values: Values) -> str | None:
    texts = [value for value in values["data"].values() if isinstance(value, str)]
    return values["data"].get("text", texts[0] if len(texts) == 1 else None)


def _spans(value: Values, text: Any, where: str) -> list[Values]:
    start, end, there = value["start"], value.get("end"), value.get("text")
    if type(start) is not int or type(end) is not int:
        raise UserError(f"{where}: a span from {start!r} to {end!r}; starts and ends are whole numbers")
    if isinstance(text, str) and isinstance(there, str):
        try:
            start, end = span_offsets(text, start, end, there)
        except LookupError:
            raise UserError(
                f"{where}: the span {there[:40]!r} from {start} to {end} is not what the text has there; export "
                "the task again"
            ) from None
    return [{"start": start, "end": end, "label": label} for label in value["labels"]]


def span_offsets(text: str, start: int, end: int, there: str) -> tuple[int, int]:
    """Offsets of a span that holds `there`, in code points, though they may be given in UTF-16 units.

    Raises:
        LookupError: something else stands at these places, counted in either way.
    """
    if text[max(0, start) : end].strip() == there.strip():
        return start, end
    offsets = _code_points(text, start), _code_points(text, end)
    if text[offsets[0] : offsets[1]].strip() != there.strip():
        raise LookupError(there)
    return offsets


def _code_points(text: str, units: int) -> int:
    """An offset in UTF-16 units, as a browser counts, in code points."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "replace"))
