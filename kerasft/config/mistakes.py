"""What pydantic finds wrong with a config -> one line: the place, the key, the value, the mend."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

KeyPath = tuple[Any, ...]
Sections = list[tuple[str, type[BaseModel]]]

# Beginning of pydantic's error type -> what the key wants.
_WANTED = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a section of keys",
    "model_type": "a section of keys",
}
_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def sections(model: type[BaseModel]) -> Sections:
    """The dotted path and class of a config class and of every section below it, in the schema's order.

    One that several tasks have, such as task.decoding, is there once.
    """
    return list(dict.fromkeys(_sections(model, "")))


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for key, field in model.model_fields.items():
        for inner in _models(field.annotation):
            yield from _sections(inner, f"{path}.{key}".lstrip("."))


def explain(
    error: ValidationError,
    model: type[BaseModel],
    values: Any,
    place: Callable[[KeyPath], str],
    order: Callable[[KeyPath], int],
) -> str:
    """All that is wrong -> the line for the first mistake, and how many more there are.

    Args:
        error: what validating `values` against `model` raised.
        values: the values as given, mappings and lists.
        place: path of a key -> where it was written, such as `train.yaml:12` or `command line`.
        order: path of a key -> its position; mistakes are told in this order, missing keys last.
    """
    groups: dict[KeyPath, list[Any]] = {}
    for found in error.errors(include_url=False):
        path = _key_path(found["loc"], values, found["type"])
        path += ("name",) if found["type"].startswith("union_tag") else ()
        groups.setdefault(path, []).append(found)
    # A wrong item of a list is told once, at the item: not again for each other form the key could have.
    paths = [path for path in groups if not any(other[: len(path)] == path and other != path for other in groups)]
    paths.sort(key=lambda path: (groups[path][0]["type"] == "missing", order(path)))
    path = paths[0]
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    dotted = ".".join(str(part) for part in path)
    message = _message(path, groups[path], list(_chosen(model, values)))
    return ": ".join(part for part in (place(path), dotted, message) if part) + more


def _chosen(model: type[BaseModel], values: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """`sections` without the forms of a section that its key `name` rules out."""
    found = sections(model)
    for path, section in found:
        at = values
        for part in path.split(".") if path else ():
            at = at.get(part) if isinstance(at, dict) else None
        name = at.get("name") if isinstance(at, dict) else None
        several = sum(other == path for other, _ in found) > 1
        if not several or name in get_args(section.model_fields["name"].annotation):
            yield path, section


def shown(value: Any) -> str:
    """A value as an error shows it: on one line, 60 characters at most."""
    # Scalars as YAML writes them; what JSON does not know is a number such as nan anyway.
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _key_path(loc: tuple[Any, ...], values: Any, kind: str) -> KeyPath:
    """Pydantic's location without the names of union members, which are no keys of the file."""
    path: list[Any] = []
    for position, part in enumerate(loc):
        known = isinstance(values, dict) and part in values
        if known or (isinstance(values, list) and isinstance(part, int) and part < len(values)):
            values = values[part]
            path.append(part)
        elif kind == "missing" and position == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _message(path: KeyPath, found: list[Any], known: Sections) -> str:
    first = found[0]
    kind, value, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path, known)
    if kind == "missing":
        description = _description(path, known)
        return f"missing; add it{': ' + description if description else ''}"
    if kind.startswith("union_tag"):
        given = value.get("name") if isinstance(value, dict) else value
        names = re.findall(r"'([^']*)'", context["expected_tags"]) if "expected_tags" in context else []
        if not names:
            return "missing; add it: which task is to be learnt"
        near = difflib.get_close_matches(str(given), names, 1)
        return f"{shown(given)} is not one of {', '.join(names)}" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "value_error":
        return str(context["error"])
    wanted = [text for each in found for prefix, text in _WANTED.items() if each["type"].startswith(prefix)]
    if wanted and len(wanted) == len(found):
        quote = "; put it in quotes" if "a text" in wanted and isinstance(value, (bool, int, float)) else ""
        return f"{shown(value)} is not {' or '.join(dict.fromkeys(wanted))}{quote}"
    if kind == "literal_error":
        near = difflib.get_close_matches(str(value), re.findall(r"'([^']*)'", context["expected"]), 1)
        return f"{shown(value)} is not one of {context['expected']}" + (f"; did you mean {near[0]}?" if near else "")
    if kind in _LIMITS:
        name, word = _LIMITS[kind]
        return f"{shown(value)} is out of range; write a number {word} {context[name]:g}"
    text = first["msg"][0].lower() + first["msg"][1:]
    description = _description(path, known)
    return f"{shown(value)}: {text}" + (f" ({description})" if description else "")


def _unknown(path: KeyPath, found: Sections) -> str:
    key, section = str(path[-1]), ".".join(str(part) for part in path[:-1])
    here = [name for at, inner in found if at == section for name in inner.model_fields]
    elsewhere = [at or "the top level" for at, inner in found if at != section and key in inner.model_fields]
    if elsewhere:
        return f"unknown key; {key} stands under {' and '.join(dict.fromkeys(elsewhere))}"
    near = difflib.get_close_matches(key, here, 1)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; there are {', '.join(dict.fromkeys(here))}"


def _description(path: KeyPath, found: Sections) -> str:
    section = ".".join(str(part) for part in path[:-1])
    for at, inner in found:
        if at == section and path[-1] in inner.model_fields:
            field = inner.model_fields[path[-1]]
            # A section describes itself in its docstring.
            return field.description or next((m.__doc__ or "" for m in _models(field.annotation)), "")
    return ""


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _models(inner)
